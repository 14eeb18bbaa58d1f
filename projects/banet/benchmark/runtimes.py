"""What runs a network: PyTorch, or a runtime to which it is exported."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn, Tensor

from ..apis.formats import need_packages, opened, quiet, write

# runtime -> the suffix of its files
EXPORTED = dict(onnxruntime='.onnx', openvino='.xml')
RUNTIMES = 'eager', 'compile', *EXPORTED


class Maps(nn.Module):
    """A backbone whose maps are a tuple, as exporters want them."""

    def __init__(self, backbone: nn.Module):
        super().__init__()
        self.backbone = backbone

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W) to maps."""
        return tuple(self.backbone(x))


def exported(model: nn.Module, runtime: str, x: Tensor) -> Callable:
    """The backbone as that runtime runs it, on as many threads as PyTorch.

    Raises:
        MissingPackage: The runtime is not installed.
    """
    suffix = EXPORTED[runtime]
    need_packages(suffix)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f'graph{suffix}')
        with torch.no_grad(), quiet():
            program = torch.export.export(Maps(model), (x,))
            write(program, file, {})
        return opened(file, torch.get_num_threads())
