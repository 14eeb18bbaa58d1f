"""What tools/train.py and test.py find, and refuse in one line."""

import re
import sys
from pathlib import Path

import pytest
from runs import DET, ROOT, run, stopped, tool, written

from banet.engine import launch
from banet.engine.paths import check_paths


@pytest.mark.parametrize(
    'make,message',
    [
        (lambda folder: [], 'no config is given. Name a file'),
        (lambda folder: [ROOT / 'README.md'], 'README.md is not a config'),
        (lambda folder: ['missing.py'], 'config missing.py does not exist'),
        (
            lambda folder: [written(folder, 'model = dict()')],
            'default_scope=None, which names no library',
        ),
        (
            lambda folder: [written(folder, "default_scope = 'mmrotate'")],
            "default_scope='mmrotate', which names no library",
        ),
        (
            lambda folder: [written(folder, 'model = dict(')],
            'cannot be read as a config: ',
        ),
        (
            lambda folder: [written(folder, "_base_ = './nowhere.py'")],
            'cannot be read as a config: ',
        ),
        (
            lambda folder: [
                DET,
                '--work-dir',
                folder / 'w',
                '--cfg-options',
                'train_dataloader.dataset.data_root=nowhere/',
            ],
            'train_dataloader.dataset.data_root=nowhere/ does not exist',
        ),
        (
            lambda folder: [
                DET,
                '--work-dir',
                folder / 'w',
                '--cfg-options',
                'val_dataloader.dataset.data_root=nowhere/',
            ],
            'val_dataloader.dataset.data_root=nowhere/ does not exist',
        ),
        (
            lambda folder: [
                DET,
                '--work-dir',
                written(folder, 'model = dict()') / 'inside',
            ],
            'inside cannot be written: ',
        ),
        (
            lambda folder: [
                DET,
                '--work-dir',
                folder / 'w',
                '--resume',
                'missing.pth',
            ],
            'checkpoint missing.pth does not exist',
        ),
        (
            lambda folder: [
                DET,
                '--work-dir',
                folder / 'w',
                '--cfg-options',
                'load_from=missing.pth',
            ],
            'checkpoint missing.pth does not exist',
        ),
        (
            lambda folder: [
                DET,
                '--work-dir',
                folder / 'w',
                '--launcher',
                'pytorch',
            ],
            '--launcher pytorch is for processes that torchrun starts',
        ),
    ],
)
def test_bad_input_of_train_is_named(make, message, tmp_path, monkeypatch):
    assert message in stopped(monkeypatch, 'train.py', *make(tmp_path))
    assert not list(tmp_path.glob('w/*'))  # no log, no checkpoint


@pytest.mark.slow
def test_bad_input_ends_a_real_process_with_one_line(tmp_path):
    result = tool('train.py', 'missing.py')
    assert result.returncode == 1
    assert result.stdout == ''
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    'name,content,message',
    [
        ('missing.pth', None, 'missing.pth does not exist'),
        (
            'page.pth',
            b'<!DOCTYPE html><html>not found</html>',
            'page.pth is not a checkpoint: it starts with',
        ),
        ('cut.pth', b'PK\x03\x04 and no end', 'cut.pth is not a checkpoint'),
        ('empty.pth', b'', 'empty.pth is not a checkpoint: it starts with'),
    ],
)
def test_bad_checkpoint_of_test_is_named(
    name, content, message, tmp_path, monkeypatch
):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    args = DET, path, '--work-dir', tmp_path / 'w'
    assert message in stopped(monkeypatch, 'test.py', *args)


@pytest.mark.parametrize('scope', ['mmdet', 'mmseg'])
def test_missing_library_is_named_with_its_pip_line(
    scope, tmp_path, monkeypatch
):
    config = written(tmp_path, f'default_scope = {scope!r}')
    monkeypatch.setattr(launch, 'find_spec', lambda name: None)
    message = stopped(monkeypatch, 'train.py', config)
    assert f'needs {scope}, which is not installed: pip install' in message


@pytest.mark.slow
def test_config_of_a_missing_library_is_named_with_its_pip_line(tmp_path):
    """A recipe that inherits mmdet's, in a real process without mmdet."""
    code = (
        'import importlib.util, importlib.metadata as metadata, sys\n'
        'find, get = importlib.util.find_spec, metadata.distribution\n'
        'def find_spec(name, *args):\n'
        "    return None if name == 'mmdet' else find(name, *args)\n"
        'importlib.util.find_spec = find_spec\n'
        "sys.modules['mmdet'] = None\n"
        'from banet.engine import launch\n'
        "launch.main('train.py')\n"
    )
    recipe = ROOT / 'configs/detection/faster-rcnn_ba-r50_fpn_1x_coco.py'
    result = run(sys.executable, '-c', code, recipe)
    assert result.returncode == 1
    line = result.stderr.splitlines()[-1]
    # The original mmengine reads the config; then the script is missing.
    pattern = 'mmdet(, which)? is not installed: pip install onedl-mmdetection'
    assert re.search(pattern, line)


def test_config_in_a_folder_with_an_equals_sign_is_one(tmp_path, monkeypatch):
    """Folders of runs are often called lr=0.1."""
    folder = tmp_path / 'lr=0.1 ä'
    folder.mkdir()
    written(folder, 'model = dict()')
    path = str(folder / 'config.py')
    assert launch.find_config([path, '--cfg-options', 'a=b.py']) == path


@pytest.mark.parametrize(
    'argv',
    [
        ['config.py', '--amp'],
        ['--out', 'results.json', 'config.py'],
        ['--cfg-options', 'val_evaluator.ann_file=a.json', 'config.py'],
        ['--work-dir', 'w', 'config.py'],
    ],
)
def test_config_is_found_among_the_options(argv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('config.py').touch()
    assert launch.find_config(argv) == 'config.py'


@pytest.mark.parametrize(
    'store',
    [
        dict(data_root='s3://bucket/coco/'),
        dict(data_root='data/coco/', backend_args=dict(backend='petrel')),
        dict(ann_file='s3://bucket/list.txt', indices=3),
    ],
)
def test_data_in_a_store_is_not_looked_for(store):
    check_paths(
        dict(type='CocoDataset', **store), 'train_dataloader.dataset', 'mmdet'
    )


def test_data_set_that_downloads_itself_is_not_looked_for():
    check_paths(
        dict(type='CIFAR10', data_root='nowhere/cifar10'),
        'train_dataloader.dataset',
        'mmpretrain',
    )


@pytest.mark.slow
def test_help_behind_a_config_is_the_librarys():
    result = tool('train.py', DET, '--help')
    assert result.returncode == 0
    assert '--auto-scale-lr' in result.stdout


@pytest.mark.parametrize('word', ['-h', '--help'])
def test_help_alone_says_how_to_call_it(word, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['tools/test.py', word])
    launch.main('test.py')
    printed = capsys.readouterr().out
    assert printed.startswith('usage: python tools/test.py CONFIG [options]')
