"""A data set in memory gives what the data set itself gives, once read."""

import pytest
import torch
from mmengine.registry import DATASETS, init_default_scope
from mmengine.runner import Runner
from runs import ROOT

from banet import InMemoryDataset
from banet.data.memory import RandomPipelineError

FOLDER = dict(
    type='CustomDataset',
    data_prefix='train',
    pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')],
)


def config(root, *transforms):
    load, pack = FOLDER['pipeline']
    pipeline = [load, *transforms, pack]
    inner = dict(FOLDER, data_root=str(root), pipeline=pipeline)
    return dict(type='InMemoryDataset', dataset=inner)


def kept(root):
    init_default_scope('mmpretrain')
    return DATASETS.build(config(root))


def two_classes(folder, count=3):
    """A copy of some images, so that they can be taken away."""
    for label in '01':
        (folder / 'train' / label).mkdir(parents=True)
        source = ROOT / 'data/nuclei_mini/images/train'
        for i, file in enumerate(sorted(source.iterdir())[:count]):
            copy = folder / 'train' / label / f'{i}.png'
            copy.write_bytes(file.read_bytes())
    return folder


def test_samples_are_those_of_the_data_set(tmp_path):
    dataset = kept(two_classes(tmp_path))
    assert isinstance(dataset, InMemoryDataset) and len(dataset) == 6
    assert dataset.metainfo == dataset.dataset.metainfo
    for i, expected in enumerate(dataset.dataset):
        sample = dataset[i]
        assert sample.keys() == expected.keys()
        assert torch.equal(sample['inputs'], expected['inputs'])
        was, now = expected['data_samples'], sample['data_samples']
        assert now.metainfo == was.metainfo
        assert torch.equal(now.gt_label, was.gt_label)


def test_images_are_read_once(tmp_path):
    dataset = kept(two_classes(tmp_path))
    first = dataset[0]['inputs']
    for file in tmp_path.glob('train/*/*.png'):
        file.unlink()
    assert torch.equal(dataset[0]['inputs'], first)
    assert len([dataset[i] for i in range(6)]) == 6


@pytest.mark.parametrize(
    'transform',
    [
        dict(type='RandomFlip', prob=0.5),
        dict(type='RandomCrop', crop_size=16),
        dict(type='RandomResize', scale=(64, 64), ratio_range=(0.5, 2)),
    ],
    ids=lambda transform: transform['type'],
)
def test_random_transforms_are_refused_when_the_loader_is_built(
    transform, tmp_path
):
    """Each image would keep its first crop through the whole training."""
    init_default_scope('mmpretrain')
    dataset = config(two_classes(tmp_path), transform)
    with pytest.raises(RandomPipelineError, match='pipeline is random'):
        Runner.build_dataloader(
            dict(
                batch_size=2,
                dataset=dataset,
                sampler=dict(type='DefaultSampler', shuffle=True),
            ),
            seed=0,
        )


def test_what_is_written_into_a_sample_is_gone_the_next_time(tmp_path):
    """Mixed labels of one epoch would be mixed again in the next."""
    dataset = kept(two_classes(tmp_path))
    dataset[0]['data_samples'].set_gt_score(torch.tensor([0.5, 0.5]))
    assert 'gt_score' not in dataset[0]['data_samples']
