"""Models as exporters take them: tensors in, tensors out, any size."""

import torch
from mmengine.model import BaseModel
from torch import nn, Tensor


class Part(nn.Module):
    """What is exported: normalised images in, plain tensors out.

    Args:
        model (BaseModel): Classifier, detector or segmentor.
        task (str): ``'cls'``, ``'det'`` or ``'seg'``.
        part (str): ``'backbone'`` or ``'model'``.
    """

    def __init__(self, model: BaseModel, task: str, part: str):
        super().__init__()
        self.model, self.task, self.part = model, task, part

    @property
    def outputs(self) -> str:
        """What comes out, in words."""
        if self.part == 'backbone':
            return 'feature maps of the backbone, (N, C, H, W) each'
        return dict(
            cls='logits (N, classes)',
            det='feature maps of the neck, (N, C, H, W) each',
            seg='logits (N, classes, H, W), of the size of the input',
        )[self.task]

    def forward(self, x: Tensor):
        """(N, 3, H, W) to what :attr:`outputs` says."""
        if self.part == 'backbone':
            return tuple(self.model.backbone(x))
        if self.task == 'cls':
            return self.model(x, mode='tensor')
        if self.task == 'det':
            return tuple(self.model.extract_feat(x))
        return self.model.encode_decode(x, [dict(img_shape=x.shape[2:])])


class MatrixPool(nn.Module):
    """nn.AdaptiveAvgPool2d as two matrix products.

    torch's ONNX exporter bakes the input's size into that layer, so that the
    graph pools wrongly at any other; these matrices follow the size.

    Args:
        size (tuple): Height and width of the output.
    """

    def __init__(self, size: tuple):
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, *size)."""
        rows, columns = (
            self._matrix(length, out, x)
            for length, out in zip(x.shape[2:], self.size)
        )
        return rows @ x @ columns.T

    @staticmethod
    def _matrix(length, out, like):
        """(out, length): row i averages a share of the places."""
        cells = torch.arange(out, device=like.device)[:, None]
        places = torch.arange(length, device=like.device)[None]
        start = cells * length // out
        end = ((cells + 1) * length + out - 1) // out
        inside = (places >= start) & (places < end)
        return inside.to(like.dtype) / (end - start).to(like.dtype)


def follow_size(module: nn.Module) -> None:
    """Replace adaptive pooling to more than one pixel by MatrixPool."""
    for name, child in module.named_children():
        if isinstance(child, nn.AdaptiveAvgPool2d):
            size = child.output_size
            size = size if isinstance(size, tuple) else (size, size)
            if size != (1, 1) and None not in size:
                setattr(module, name, MatrixPool(size))
        else:
            follow_size(child)
