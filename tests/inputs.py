"""What the networks look at."""

import pytest
import torch
from mmengine.utils import digit_version

# The originals' torch 2.1, whose compilers and exporters were young.
version = digit_version(torch.__version__)
OLD_TORCH = version < digit_version('2.6')
needs_new_torch = pytest.mark.skipif(
    OLD_TORCH, reason=f'torch {torch.__version__} is before 2.6'
)

# Where a test compiles to machine code.
needs_compiler = pytest.mark.skipif(
    ' ' in torch.__file__,
    reason="torch's C++ command line breaks at the space in its folder's name",
)


def images(batch=2, size=64):
    """Random ones, the same each time; ``size`` is a side or both."""
    height, width = (size, size) if isinstance(size, int) else size
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, 3, height, width, generator=generator)


def supports(dtype):
    """Before torch 2.3, autocast on the CPU knew bfloat16 only."""
    return dtype is torch.bfloat16 or version >= digit_version('2.3')
