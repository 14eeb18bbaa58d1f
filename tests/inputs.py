"""What the networks look at."""

import torch


def images(batch=2, size=64):
    """Random ones, the same each time; ``size`` is a side or both."""
    height, width = (size, size) if isinstance(size, int) else size
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, 3, height, width, generator=generator)
