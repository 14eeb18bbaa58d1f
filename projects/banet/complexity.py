"""Parameters and multiply-adds (MACs) of a model, part by part."""

import torch
from mmengine.analysis import FlopAnalyzer
from torch import nn, Tensor


class Counted(nn.Module):
    """The part of a model whose work does not depend on what it finds.

    A classifier: all of it; a detector: backbone and neck; a segmentor:
    backbone, neck and decode head; a bare backbone: itself.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.backbone = getattr(model, 'backbone', model)
        self.neck = getattr(model, 'neck', None) or nn.Identity()
        head = getattr(model, 'head', None)
        if hasattr(model, 'decode_head'):
            self.decode_head = model.decode_head
        elif hasattr(head, 'fc'):
            self.fc = head.fc

    def forward(self, x: Tensor):
        """Images to features, segmentation logits or class scores."""
        features = self.neck(self.backbone(x))
        if hasattr(self, 'decode_head'):
            return self.decode_head(features)
        return self.fc(features[-1]) if hasattr(self, 'fc') else features


def macs_by_module(model: nn.Module, x: Tensor) -> dict[str, int]:
    """MACs of the convs and linears below each module, counted by mmengine.

    Args:
        model (nn.Module): In eval mode.
        x (Tensor): Its input; use one image.

    Returns:
        dict[str, int]: By the module's name; '' is the whole model.
    """
    counter = FlopAnalyzer(model, x)
    counter.unsupported_ops_warnings(False)
    counter.uncalled_modules_warnings(False)
    counter.tracer_warnings('none')
    with torch.no_grad():
        return {
            name: operators['conv'] + operators['linear']
            for name, operators in counter.by_module_and_operator().items()
        }


def parameters(model: nn.Module) -> int:
    """Number of parameters, frozen ones included."""
    return sum(p.numel() for p in model.parameters())
