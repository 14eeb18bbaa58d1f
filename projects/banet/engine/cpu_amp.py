"""Mixed precision on the CPU, which mmengine's own wrapper refuses."""

from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn


@OPTIM_WRAPPERS.register_module()
class CPUAmpOptimWrapper(OptimWrapper):
    """Train in bfloat16 on a CPU: ``optim_wrapper.type=CPUAmpOptimWrapper``.

    The forward pass runs under ``torch.autocast('cpu', torch.bfloat16)``;
    weights, gradients and the optimizer's state stay float32. bfloat16 has
    float32's range, so the loss is not scaled. It pays where the processor
    calculates in bfloat16 (AMX, AVX512_BF16); others emulate it slowly.
    On a GPU use mmengine's ``AmpOptimWrapper``.

    Args:
        **kwargs: As :class:`mmengine.optim.OptimWrapper`.
    """

    @contextmanager
    def optim_context(self, model: nn.Module):
        """The context of a training step's forward pass.

        Args:
            model (nn.Module): What is trained.
        """
        with (
            super().optim_context(model),
            torch.autocast('cpu', torch.bfloat16),
        ):
            yield
