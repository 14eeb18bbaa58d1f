"""Every path that a data set names is looked for before a training starts."""

import pytest
from mmdet.datasets import CocoDataset
from mmengine.model import PretrainedInit
from runs import NUCLEI

from banet.engine.paths import check_paths, check_starts, LaunchError

GOOD = dict(
    type='CocoDataset',
    data_root=str(NUCLEI),
    ann_file='annotations/train.json',
    data_prefix=dict(img='images/train/'),
)


def wrapped(dataset):
    return {
        'none': dataset,
        'RepeatDataset': dict(type='RepeatDataset', dataset=dataset),
        'ClassBalancedDataset': dict(
            type='ClassBalancedDataset', dataset=dataset
        ),
        'MultiImageMixDataset': dict(
            type='MultiImageMixDataset', dataset=dataset
        ),
        'ConcatDataset': dict(type='ConcatDataset', datasets=[GOOD, dataset]),
    }


@pytest.mark.parametrize('wrapper', wrapped(None))
@pytest.mark.parametrize(
    'change,message',
    [
        (dict(data_root='nowhere'), r'data_root=nowhere does not exist'),
        (dict(ann_file='a/b.json'), r'ann_file=a/b.json does not exist'),
        (
            dict(data_prefix=dict(img='pictures')),
            r'data_prefix.img=pictures does not exist',
        ),
        (
            dict(ann_file='/a/b.json'),
            r'ann_file=/a/b.json does not exist \(looked in /a from',
        ),
        (dict(data_root='~/x'), 'nothing expands the ~ in a config'),
    ],
)
def test_what_is_missing_is_named_in_every_wrapper(change, message, wrapper):
    check_paths(wrapped(GOOD)[wrapper], 'dataset', 'mmdet')
    bad = wrapped({**GOOD, **change})[wrapper]
    with pytest.raises(LaunchError, match=message):
        check_paths(bad, 'dataset', 'mmdet')


def test_class_as_type_is_a_type_too():
    """As new-style configs have it."""
    good = {**GOOD, 'type': CocoDataset}
    check_paths(good, 'dataset', 'mmdet')
    with pytest.raises(LaunchError, match='ann_file=no.json'):
        check_paths({**good, 'ann_file': 'no.json'}, 'dataset', 'mmdet')


def test_folder_in_the_place_of_a_json_file_is_named():
    with pytest.raises(LaunchError, match='ann_file=annotations is a folder'):
        check_paths({**GOOD, 'ann_file': 'annotations'}, 'dataset', 'mmdet')


def test_local_backend_reads_files_as_none_does():
    local = dict(backend_args=dict(backend='local'))
    bad = {**GOOD, **local, 'ann_file': 'no.json'}
    with pytest.raises(LaunchError, match='ann_file=no.json'):
        check_paths(bad, 'dataset', 'mmdet')


@pytest.mark.parametrize('place', ['backbone', 'roi_head'])
def test_weights_that_a_part_starts_from_are_looked_for(
    place, tmp_path, monkeypatch
):
    def model(path):
        start = dict(type='Pretrained', checkpoint=str(path))
        return {place: dict(heads=[dict(init_cfg=start)])}

    key = f'model.{place}.heads.0.init_cfg.checkpoint'
    with pytest.raises(LaunchError, match=f'{key}=no.pth does not exist'):
        check_starts(model('no.pth'))
    (tmp_path / 'x.pth').write_text('')
    monkeypatch.setenv('HOME', str(tmp_path))  # which mmengine looks into
    for path in (
        str(tmp_path / 'x.pth'),
        '~/x.pth',
        'torchvision://resnet50',
        '',
    ):
        assert check_starts(model(path)) is None


@pytest.mark.parametrize(
    'kind', [PretrainedInit, 'mmengine.model.weight_init.PretrainedInit']
)
def test_class_as_type_of_a_start_is_a_type_too(kind):
    """As new-style configs, and their copies in work dirs, have it."""
    with pytest.raises(LaunchError, match='checkpoint=no.pth does not exist'):
        check_starts(dict(init_cfg=dict(type=kind, checkpoint='no.pth')))


def test_indices_beyond_a_list_are_named(tmp_path):
    (tmp_path / 'list.txt').write_text('a.png 0\nb.png 1\n')
    dataset = dict(
        type='CustomDataset', data_root=str(tmp_path), ann_file='list.txt'
    )
    check_paths({**dataset, 'indices': 2}, 'dataset', 'mmpretrain')
    with pytest.raises(LaunchError, match='indices=3, but .* has 2 lines'):
        check_paths({**dataset, 'indices': 3}, 'dataset', 'mmpretrain')
