"""Random numbers that depend on the seed and the epoch alone."""

import numpy as np
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
    and a resumed run draws what it would have drawn uninterrupted. Loaders
    with workers are seeded by mmengine, which this leaves alone.
    """

    def before_train_epoch(self, runner):
        """Seed Python, NumPy and PyTorch."""
        mixed = np.random.SeedSequence((runner.seed, runner.epoch, get_rank()))
        set_random_seed(int(mixed.generate_state(1)[0]))
