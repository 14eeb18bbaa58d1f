"""What the check says of whole data sets, and its tool."""

import csv
import os
import re
import signal

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image
from runs import ROOT, tool
from small_data import CLS, DET, found, picture, SEG, truncate

from banet.data import check_data, CheckError
from banet.data.items import check_counts, check_item
from banet.data.sets import check_heads, classes_in, counts_in
from banet.data.unread import check_unread_files
from banet.data.walk import each


@pytest.mark.parametrize('config', [DET, SEG, CLS])
def test_fit_data_is_called_fit_and_drawn(config, data, tmp_path):
    report = data.check(config, tmp_path)
    assert not report.problems
    assert not report.failed
    assert [split for split, _ in report.contents] == ['train', 'val']
    assert len(report.sheets) == 2
    for sheet in report.sheets:
        pixels = np.asarray(Image.open(sheet))
        assert pixels[:160, :240].std() > 10  # something is drawn there


def test_contents_are_counted(data):
    texts = [dict(data.check(c).contents)['train'] for c in (DET, SEG, CLS)]
    assert texts[0] == '1 images (nucleus: 1)'
    assert texts[1] == (
        '1 images (background: 75 % of pixels, nucleus: 25 % of pixels)'
    )
    assert texts[2].startswith('10 images (0: 1, 1: 1, 2: 1')


def test_num_classes_of_another_data_set_is_named_with_its_key(data):
    key = 'model.roi_head.bbox_head.num_classes'
    report = data.check(DET, **{key: 80})
    problems = [p for _, p in report.problems if p.severity == 'error']
    assert {p.where for p in problems} == {key}
    assert problems[0].text == '80, but the data has 1 classes'


def test_class_folder_that_a_split_lacks_is_named(data):
    """Upstream numbers the folders of each split by themselves."""
    for file in (data.root / 'digits/val/4').iterdir():
        file.unlink()
    (data.root / 'digits/val/4').rmdir()
    kinds = found(data.check(CLS), 'error')
    assert 'other classes than in training' in kinds


@pytest.mark.parametrize('classes', ['order', 'folder'])
def test_class_folders_are_held_against_the_names(classes, data):
    """Upstream compares their numbers alone, and counts by the alphabet."""
    names = [str(i) for i in range(10)]
    if classes == 'order':
        names[:2] = '1', '0'
    else:
        folder = data.root / 'digits/val/4'
        folder.rename(folder.with_name('four'))
    options = {
        f'{split}_dataloader.dataset.metainfo': dict(classes=names)
        for split in ('train', 'val', 'test')
    }
    kinds = found(data.check(CLS, **options), 'error')
    wanted = dict(
        order='classes in another order',
        folder='other classes than in training',
    )
    assert kinds == {wanted[classes]}


def test_data_alone_can_be_checked(data):
    report = data.check(CLS, model=None)
    assert not found(report, 'error')


def test_image_in_two_splits_is_a_note(data):
    options = {'val_dataloader.dataset.data_prefix': 'train'}
    report = data.check(CLS, **options)
    assert found(report, 'note') == {'image in two splits'}


def test_config_without_data_is_named():
    cfg = Config(dict(default_scope='mmdet', model=dict()))
    with pytest.raises(CheckError, match='no train_dataloader, val_data'):
        check_data(cfg)


@pytest.mark.slow
def test_tool_lists_every_problem_and_exits_with_one(data, tmp_path):
    """A real process, with two that read the files."""
    truncate(data.image)
    options = [f'{k}={v}' for k, v in data.options(SEG).items()]
    config = ROOT / 'configs' / 'demo' / SEG
    words = ['check_data.py', config, '--out', tmp_path, '--workers', 2]
    result = tool(*words, '--cfg-options', *options)
    assert result.returncode == 1
    assert re.search(
        r'error damaged image: 1\n +train .*a\.png', result.stdout
    )
    assert result.stdout.endswith('problems were found\n')
    with open(tmp_path / 'problems.csv') as file:
        rows = list(csv.DictReader(file))
    assert [row['kind'] for row in rows] == [
        'damaged image',
        'sample the pipeline cannot make',
    ]
    assert (tmp_path / 'train-0.png').exists()


@pytest.mark.slow
def test_tool_names_a_missing_config_in_one_line():
    result = tool('check_data.py', 'missing.py')
    assert result.returncode == 1
    expected = 'check_data.py: config missing.py does not exist'
    assert result.stderr.startswith(expected)


def test_interrupt_is_left_to_the_tool_by_its_workers():
    """Which ends them; else each would print a traceback of its own."""
    (handler,) = each(signal.getsignal, [signal.SIGINT], 1, 'train')
    assert handler is signal.SIG_IGN


def test_worker_that_was_killed_ends_the_check():
    with pytest.raises(CheckError, match='val: a process that looks at the i'):
        list(each(os._exit, [9, 9], 1, 'val'))


@pytest.mark.parametrize('config', [DET, SEG, CLS])
def test_config_needs_no_visualizer(config, data, tmp_path):
    """The Runner has one of its own."""
    report = data.check(config, tmp_path, visualizer=None)
    assert len(report.sheets) == 2
    assert not report.problems


def test_images_of_several_classes_each_are_not_counted():
    infos = [dict(gt_label=[0, 1]), dict(gt_label=[])]
    assert check_counts(infos, ['a', 'b', 'c'], 'here', False) == []


@pytest.mark.slow
def test_file_of_any_name_is_reported(data, tmp_path):
    """Names that are no UTF-8 come out of old archives."""
    name = os.fsdecode(b'caf\xe9.png')
    data.image.with_name(name).write_bytes(b'')
    options = [f'{k}={v}' for k, v in data.options(SEG).items()]
    config = ROOT / 'configs' / 'demo' / SEG
    words = ['check_data.py', config, '--out', tmp_path / 'out']
    result = tool(*words, '--cfg-options', *options)
    assert result.returncode == 1, result.stderr
    assert r'caf\udce9.png' in result.stdout
    assert b'caf\xe9.png' in (tmp_path / 'out/problems.csv').read_bytes()


@pytest.mark.parametrize(
    'scope,kind,count',
    [('mmdet', 'CocoDataset', 80), ('mmseg', 'ADE20KDataset', 150)],
)
def test_classes_of_a_librarys_own_data_set_are_known(scope, kind, count):
    """It is registered in the library's registry alone."""
    with DefaultScope.overwrite_default_scope(scope):
        assert len(classes_in(dict(type=kind))) == count


@pytest.mark.parametrize('split', [None, 'train'])
def test_folders_of_a_split_are_its_own(split, data):
    """mmpretrain's data sets know them by ``split`` alone."""
    options = {}
    for name in ('train', 'val', 'test'):
        key = f'{name}_dataloader.dataset'
        options[f'{key}.type'] = 'ImageNet'
        options[f'{key}.split'] = 'val' if name == 'test' else name
        options[f'{key}.data_prefix'] = ''
        options[f'{key}.metainfo'] = dict(classes=[str(i) for i in range(10)])
    if split:
        picture().save(data.root / 'digits' / split / '4' / 'stray.png')
        (data.root / 'digits/meta').mkdir()
        (data.root / 'digits/meta/train.txt').write_text(
            ''.join(f'{i}/train.png {i}\n' for i in range(10))
        )
    report = data.check(CLS, **options)
    assert not found(report, 'error', 'lost')
    # What a list leaves out may belong elsewhere.
    kinds = found(report, 'note')
    assert ('images that nobody reads' in kinds) == bool(split)


def test_labels_of_a_detector_are_not_a_segmentors(data):
    """Ids of segments in colours, or classes of their own."""
    leaf = 'train_dataloader.dataset.data_prefix'
    report = data.check(DET, **{leaf: dict(img='images/train', seg='labels')})
    assert not found(report, 'error', 'lost')
    info = dict(img_path=str(data.image), seg_map_path=str(data.image))
    assert check_item(None, 3, info)[0] == []


def test_absolute_paths_on_two_disks_are_walked_where_they_are(tmp_path):
    for folder in ('a', 'b', 'c'):
        (tmp_path / folder).mkdir()
        picture().save(tmp_path / folder / 'x.png')
    infos = [dict(img_path=str(tmp_path / f / 'x.png')) for f in 'ab']
    assert check_unread_files({}, infos, None) == []
    picture().save(tmp_path / 'b' / 'y.png')
    (problem,) = check_unread_files({}, infos, None)
    assert problem.where == str(tmp_path / 'b')
    # Below a root, what lies beside them counts, too.
    root = dict(data_root=str(tmp_path))
    (problem,) = check_unread_files(root, infos, None)
    assert problem.where == str(tmp_path) and '2 .png' in problem.text


def test_heads_of_panoptic_data_are_of_things_or_of_all():
    counts = counts_in(['a', 'b', 'c'], PanopticData())
    heads = dict(box=dict(num_classes=2), all=dict(num_classes=3))
    assert check_heads(heads, counts) == []
    (problem,) = check_heads(dict(box=dict(num_classes=1)), counts)
    assert problem.text == '1, but the data has 3 classes'
    assert check_heads(dict(type='STDCHead', num_classes=2), counts) == []


class PanopticData:
    """What a built data set says of itself."""

    metainfo = dict(thing_classes=['a', 'b'], stuff_classes=['c'])


@pytest.mark.parametrize('scope', [None, 'mmnothing'])
def test_scope_of_no_library_is_named(scope, data):
    with pytest.raises(CheckError, match='names no library: set it to mmpre'):
        data.check(CLS, default_scope=scope)
