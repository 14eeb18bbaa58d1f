"""Random numbers that depend on the seed and the epoch alone."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import set_random_seed


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seed all generators of the process anew before each epoch.

    Networks draw different amounts of random numbers while they are built.
    With ``custom_hooks=[dict(type='EpochSeedHook')]`` runs of one seed draw
    the same crops and mixtures all the same, whatever network they train,
    and a resumed run draws what it would have drawn uninterrupted. A run in
    iterations has one epoch only: resumed, it draws other numbers than
    before, and than it would have drawn. Loaders with workers are seeded by
    mmengine, which this leaves alone.
    """

    def before_train_epoch(self, runner):
        """Seed Python, NumPy and PyTorch."""
        place = runner.epoch or runner.iter  # where it is resumed
        mixed = np.random.SeedSequence((runner.seed, place, get_rank()))
        set_random_seed(int(mixed.generate_state(1)[0]))


@contextmanager
def seeded_aside(seed: int) -> Iterator[None]:
    """Draw from generators seeded with ``seed``; then all go on as before."""
    python, numpy = random.getstate(), np.random.get_state()
    gpus = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(gpus):
        set_random_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
