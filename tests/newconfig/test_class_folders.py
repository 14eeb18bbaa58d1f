"""Layouts of class folders: which folder validates, and by which share."""

import os

import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from new_config_options import options
from PIL import Image

from banet.newconfig import make_config, NewConfigError


def folders(root, *splits, images=5, suffix='.png'):
    for split in splits:
        for name in ('cat', 'dog'):
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(images):
                Image.new('RGB', (8, 8)).save(folder / f'{i}{suffix}')
    return root


def datasets(tmp_path, **changes):
    """What a training and its validation read."""
    path = make_config(
        options(
            tmp_path / 'my.py',
            **dict(task='cls', model='resnet', depth='r18', **changes),
        )
    )
    cfg = Config.fromfile(path)
    init_default_scope('mmpretrain')
    return [
        DATASETS.build(cfg[f'{split}_dataloader'].dataset)
        for split in ('train', 'val')
    ]


@pytest.mark.parametrize(
    'splits,chosen',
    [
        (('train', 'val'), 'val'),
        (('train', 'valid', 'test'), 'valid'),
        (('train', 'validation'), 'validation'),
        (('train', 'test'), 'test'),
        (('train', 'val', 'test'), 'val'),
        (('Train', 'Test'), 'Test'),
        (('training_set', 'test_set'), 'test_set'),
    ],
)
def test_validation_is_the_folder_that_is_there(splits, chosen, tmp_path):
    folders(tmp_path / 'd', *splits)
    train, val = datasets(tmp_path, data=tmp_path / 'd')
    assert len(train) == len(val) == 10
    assert f'/d/{chosen}/' in val.get_data_info(0)['img_path']


def test_splits_are_no_classes(tmp_path):
    folders(tmp_path / 'd', 'test', 'valid')
    for share in (None, 0.3):
        with pytest.raises(NewConfigError, match='valid, which is no class'):
            datasets(tmp_path, data=tmp_path / 'd', val_share=share)


def test_another_folder_validates_where_it_is_named(tmp_path):
    folders(tmp_path / 'd', 'train', 'val')
    other = folders(tmp_path / 'other', '', images=2)
    _, val = datasets(tmp_path, data=tmp_path / 'd', val_data=other)
    assert len(val) == 4
    assert '/other/' in val.get_data_info(0)['img_path']


@pytest.mark.parametrize('top', ['train', ''])
def test_share_is_of_each_class_and_the_same_again(top, tmp_path):
    root = folders(tmp_path / 'd', top)
    options = dict(data=root, val_share=0.4)
    train, val = datasets(tmp_path, **options)
    labels = [
        [d.get_data_info(i)['gt_label'] for i in range(len(d))]
        for d in (train, val)
    ]
    assert [sorted(each) for each in labels] == [
        [0, 0, 0, 1, 1, 1],
        [0, 0, 1, 1],
    ]
    paths = [
        {d.get_data_info(i)['img_path'] for i in range(len(d))}
        for d in (train, val)
    ]
    assert not paths[0] & paths[1]
    again = datasets(tmp_path, **options, force=True)
    assert {
        again[1].get_data_info(i)['img_path'] for i in range(len(again[1]))
    } == paths[1]


def test_name_that_no_list_can_hold_is_named(tmp_path):
    root = folders(tmp_path / 'd', '')
    Image.new('RGB', (8, 8)).save(root / 'cat' / 'a\u3000b\u202fc.png')
    assert sum(map(len, datasets(tmp_path, data=root, val_share=0.4))) == 11
    for path in tmp_path.glob('my*'):
        path.unlink()
    Image.new('RGB', (8, 8)).save(root / 'cat' / os.fsdecode(b'\xe9.png'))
    with pytest.raises(NewConfigError, match=r'udce9.png. cannot stand in a'):
        datasets(tmp_path, data=root, val_share=0.4)
    assert not list(tmp_path.glob('my*'))


def test_every_suffix_is_read(tmp_path):
    """mmpretrain leaves out .webp without a word."""
    folders(tmp_path / 'd', 'train', 'val')
    Image.new('RGB', (8, 8)).save(tmp_path / 'd/train/cat/x.webp')
    train, _ = datasets(tmp_path, data=tmp_path / 'd')
    assert len(train) == 11


@pytest.mark.parametrize(
    'changes,message',
    [
        ({}, 'has no val or valid or validation or test folder'),
        (dict(val_share=1.5), '--val-share 1.5 must lie between 0 and 1'),
        (dict(val_share=0.01), 'is 0: both splits need one'),
        (
            dict(val_share=0.2, val_data='d'),
            '--val-data and --val-share exclude each other',
        ),
    ],
)
def test_what_cannot_be_split_is_named(changes, message, tmp_path):
    root = folders(tmp_path / 'd', 'train')
    if 'val_data' in changes:
        changes = {**changes, 'val_data': root / 'train'}
    with pytest.raises(NewConfigError, match=message):
        datasets(tmp_path, data=root, **changes)
    assert not (tmp_path / 'my.py').exists()


def test_hidden_folder_is_refused_before_it_becomes_a_class(tmp_path):
    root = folders(tmp_path / 'd', 'train', 'val')
    (root / 'train/.ipynb_checkpoints').mkdir()
    with pytest.raises(NewConfigError, match='would become a class'):
        datasets(tmp_path, data=root)


def test_class_called_as_a_split_is_a_class(tmp_path):
    """Of vehicles, such as bus, car and train."""
    root = tmp_path / 'd'
    for name in ('bus', 'train'):
        (root / name).mkdir(parents=True)
        for i in range(5):
            Image.new('RGB', (8, 8)).save(root / name / f'{i}.png')
    train, val = datasets(tmp_path, data=root, val_share=0.4)
    assert train.CLASSES == val.CLASSES == ['bus', 'train']
    assert (len(train), len(val)) == (6, 4)
