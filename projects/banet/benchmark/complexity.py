"""Parameters and multiply-adds (MACs) of a model, part by part."""

from inspect import Parameter, signature

import torch
from mmengine.analysis import FlopAnalyzer
from torch import nn, Tensor

COUNTED = 'conv', 'linear', 'matmul', 'bmm'


class Counted(nn.Module):
    """The part of a model whose work does not depend on what it finds.

    A classifier: all of it; a detector: backbone and neck; a segmentor:
    backbone, neck and decode head, or the heads of a cascade; not one that
    needs the labels, too (Mask2Former); a bare backbone: itself.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.backbone = getattr(model, 'backbone', model)
        self.neck = getattr(model, 'neck', None) or nn.Identity()
        head = getattr(model, 'head', None)
        decode_head = getattr(model, 'decode_head', None)
        if decode_head is not None:
            if _takes_features_alone(decode_head):
                self.decode_head = decode_head
        elif head is not None:
            self.head = head

    def forward(self, x: Tensor):
        """Images to features, segmentation logits or class scores."""
        features = self.neck(self.backbone(x))
        if hasattr(self, 'decode_head'):
            first, *others = _stages(self.decode_head)
            out = first(features)
            for stage in others:
                out = stage(features, out)
            return out
        return self.head(features) if hasattr(self, 'head') else features


def _stages(head):
    return list(head) if isinstance(head, nn.ModuleList) else [head]


def _takes_features_alone(head):
    parameters = signature(_stages(head)[0].forward).parameters.values()
    return sum(p.default is Parameter.empty for p in parameters) == 1


def macs_by_module(model: nn.Module, x: Tensor) -> dict[str, int]:
    """MACs below each module, counted by mmengine.

    Those of convs and linears, and of the products of self-attention.

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
            name: sum(operators[kind] for kind in COUNTED)
            for name, operators in counter.by_module_and_operator().items()
        }


def parameters(model: nn.Module) -> int:
    """Number of parameters, frozen ones included."""
    return sum(p.numel() for p in model.parameters())
