"""What the networks look at."""

import pytest
import torch

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
