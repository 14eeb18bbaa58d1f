"""A data set that is kept in memory, for images small enough."""

from typing import Any

from mmengine.registry import DATASETS
from torch.utils.data import Dataset


@DATASETS.register_module()
class InMemoryDataset(Dataset):
    """Samples of a data set, made once, at the first look, and kept.

    For small images, whose reading takes longer than a training step:
    ``dataset=dict(type='InMemoryDataset', dataset=dict(...))``. Each sample
    is what the inner pipeline made of it the first time, so random
    transforms belong elsewhere, such as into a batch augmentation
    (:class:`banet.RandomResizedCropFlip`). With ``num_workers=0`` there is
    one copy per process, with workers one per worker.

    Args:
        dataset (dict): Config of the data set. Its samples are dicts of
            ``inputs``, a tensor, and ``data_samples``.
    """

    def __init__(self, dataset: dict):
        self.dataset = DATASETS.build(dataset)
        self.metainfo = self.dataset.metainfo
        self._samples: list[dict[str, Any]] = []

    def full_init(self) -> None:
        """Read the annotations, as mmengine asks its data sets to do."""
        self.dataset.full_init()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not self._samples:
            self._samples = [self.dataset[i] for i in range(len(self))]
        sample = self._samples[index]
        # Data preprocessors write into the data sample that they are given.
        return dict(sample, data_samples=sample['data_samples'].new())
