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
from small_data import CLS, DET, found, SEG, truncate

from banet.data import check_data, CheckError
from banet.data.items import check_counts
from banet.data.sets import classes_in
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
