"""A data set that is kept in memory, for images small enough."""

from typing import Any

import torch
from mmengine.registry import DATASETS
from torch.utils.data import Dataset

from ..utils.errors import BanetError

LOOKS = 20  # at one sample: a flip of one in two is seen but for one in 10^6


class RandomPipelineError(BanetError):
    """Samples that would have to change from epoch to epoch."""


@DATASETS.register_module()
class InMemoryDataset(Dataset):
    """Samples of a data set, made once, before the training, and kept.

    For small images, whose reading takes longer than a training step:
    ``dataset=dict(type='InMemoryDataset', dataset=dict(...))``. Random
    transforms belong elsewhere, such as into a batch augmentation
    (:class:`banet.RandomResizedCropFlip`). Worker processes share the memory
    of the one that started them.

    Args:
        dataset (dict): Config of the data set. Its samples are dicts of
            ``inputs``, a tensor, and ``data_samples``.
    """

    def __init__(self, dataset: dict):
        self.dataset = DATASETS.build(dataset)
        self.metainfo = self.dataset.metainfo
        self._samples: list[dict[str, Any]] = []

    def full_init(self) -> None:
        """Make all samples; mmengine calls it when it builds the loader.

        Raises:
            RandomPipelineError: The pipeline is random.
        """
        if self._samples:
            return
        self.dataset.full_init()
        first = self.dataset[0]['inputs']
        for _ in range(LOOKS):
            if not torch.equal(first, self.dataset[0]['inputs']):
                raise RandomPipelineError(
                    'InMemoryDataset makes each sample once, and its pipeline '
                    'is random: the first image came out in two ways. Move '
                    'the random transforms into train_cfg.augments, such as '
                    'RandomResizedCropFlip, or leave InMemoryDataset out.'
                )
        self._samples = [self.dataset[i] for i in range(len(self.dataset))]

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict[str, Any]:
        self.full_init()
        sample = self._samples[index]
        # Data preprocessors write into the data sample that they are given.
        return dict(sample, data_samples=sample['data_samples'].new())
