"""tools/train.py and test.py, and upstream's own scripts, on real images."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.utils import get_installed_path
from runs import DEMO, python, ROOT, run, SHORT, short_run, tool

from banet import launch


def test_digits_are_all_of_scikit_learns(tmp_path):
    assert tool('prepare_digits.py', tmp_path / 'digits').returncode == 0
    assert len(list(tmp_path.glob('digits/train/*/*.png'))) == 1437
    assert len(list(tmp_path.glob('digits/val/*/*.png'))) == 360


@pytest.mark.parametrize('scope', SHORT)
def test_upstreams_own_script_trains_and_ours_resumes_and_tests(
    scope, digits, tmp_path
):
    upstream = Path(get_installed_path(scope)) / '.mim/tools/train.py'
    config, options = short_run(scope, digits, 1)
    first = python(upstream, config, '--work-dir', tmp_path, *options)
    assert first.returncode == 0, first.stderr[-3000:]
    saved = Path((tmp_path / 'last_checkpoint').read_text())
    assert saved.name in ('epoch_1.pth', 'iter_1.pth')

    config, options = short_run(scope, digits, 2)
    second = tool(
        'train.py', config, '--work-dir', tmp_path, '--resume', *options
    )
    assert second.returncode == 0, second.stderr[-3000:]
    log = second.stdout + second.stderr
    assert re.search(r'resumed epoch: \d+, iter: \d+', log)
    saved = Path((tmp_path / 'last_checkpoint').read_text())
    assert saved.name in ('epoch_2.pth', 'iter_2.pth')

    third = tool(
        'test.py', config, saved, '--work-dir', tmp_path / 'test', *options
    )
    assert third.returncode == 0, third.stderr[-3000:]
    assert any(
        metric in third.stdout + third.stderr
        for metric in ('accuracy/top1', 'mIoU', 'coco/bbox_mAP')
    )


def written(folder, text):
    """A config of that text."""
    path = folder / 'config.py'
    path.write_text(text)
    return path


def stopped(monkeypatch, name, *args):
    """The line with which ``tools/name args`` stops, run in this process."""
    monkeypatch.setattr(sys, 'argv', [f'tools/{name}', *map(str, args)])
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as stop:
        launch.main(name)
    assert stop.value.code.startswith(f'{name}: ')
    return stop.value.code


DET = DEMO / 'mask-rcnn_ba-r18_fpn_nuclei.py'


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


def test_config_of_a_missing_library_is_named_with_its_pip_line(tmp_path):
    """A recipe that inherits mmdet's, in a real process without mmdet."""
    code = (
        'import importlib.util, importlib.metadata as metadata, sys\n'
        'find, get = importlib.util.find_spec, metadata.distribution\n'
        'def find_spec(name, *args):\n'
        "    return None if name == 'mmdet' else find(name, *args)\n"
        'importlib.util.find_spec = find_spec\n'
        "sys.modules['mmdet'] = None\n"
        'from banet import launch\n'
        "launch.main('train.py')\n"
    )
    recipe = ROOT / 'configs/detection/faster-rcnn_ba-r50_fpn_1x_coco.py'
    result = run(sys.executable, '-c', code, recipe)
    assert result.returncode == 1
    line = result.stderr.splitlines()[-1]
    # The original mmengine reads the config; then the script is missing.
    pattern = 'mmdet(, which)? is not installed: pip install onedl-mmdetection'
    assert re.search(pattern, line)


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
    ],
)
def test_data_in_a_store_is_not_looked_for(store):
    launch.check_data(
        dict(type='CocoDataset', **store), 'train_dataloader.dataset', 'mmdet'
    )


def test_data_set_that_downloads_itself_is_not_looked_for():
    launch.check_data(
        dict(type='CIFAR10', data_root='nowhere/cifar10'),
        'train_dataloader.dataset',
        'mmpretrain',
    )


def test_help_behind_a_config_is_the_librarys():
    result = tool('train.py', DET, '--help')
    assert result.returncode == 0
    assert '--auto-scale-lr' in result.stdout


TORCHRUN = (
    'torchrun --nnodes=2 --node_rank=1 --master_addr=10.0.0.1 '
    '--master_port=29501 --nproc_per_node=8'
)
SRUN = (
    'srun -p part --job-name=job --gres=gpu:8 --ntasks=16 '
    '--ntasks-per-node=8 --cpus-per-task=5 --kill-on-bad-exit=1 --quiet '
    'python -u'
)


@pytest.mark.parametrize(
    'script,args,launcher,rest',
    [
        ('dist_train.sh', 'c.py 8 --amp', TORCHRUN, 'c.py {} --amp'),
        (
            'dist_test.sh',
            'c.py x.pth 8 --tta',
            TORCHRUN,
            'c.py x.pth {} --tta',
        ),
        ('slurm_train.sh', 'part job c.py --amp', SRUN, 'c.py {} --amp'),
        ('slurm_test.sh', 'part job c.py x.pth', SRUN, 'c.py x.pth {}'),
    ],
)
def test_launch_scripts_pass_everything_on(
    script, args, launcher, rest, tmp_path
):
    """To commands of these names that print how they were called."""
    for name in ('torchrun', 'srun'):
        echo = tmp_path / name
        echo.write_text('#!/bin/sh\necho "$(basename "$0")" "$@"\n')
        echo.chmod(0o755)
    environment = dict(
        os.environ,
        PATH=f'{tmp_path}:{os.environ["PATH"]}',
        NNODES='2',
        NODE_RANK='1',
        MASTER_ADDR='10.0.0.1',
        PORT='29501',
        GPUS='16',
        SRUN_ARGS='--quiet',
    )
    tools = ROOT / 'tools'
    result = subprocess.run(
        ['bash', tools / script, *args.split()],
        env=environment,
        capture_output=True,
        text=True,
    )
    python_tool = 'train.py' if 'train' in script else 'test.py'
    kind = 'pytorch' if 'dist' in script else 'slurm'
    rest = rest.format(f'--launcher {kind}')
    assert result.stdout.strip() == f'{launcher} {tools}/{python_tool} {rest}'


@pytest.fixture(scope='session')
def digits_checkpoint(digits, tmp_path_factory):
    """What our classification config leaves after two iterations."""
    work_dir = tmp_path_factory.mktemp('pretraining')
    config, options = short_run('mmpretrain', digits, 2)
    result = tool('train.py', config, '--work-dir', work_dir, *options)
    assert result.returncode == 0, result.stderr[-3000:]
    return Path((work_dir / 'last_checkpoint').read_text())


@pytest.mark.parametrize('scope', ['mmdet', 'mmseg'])
def test_classifier_becomes_the_backbone_of_the_others_by_one_line(
    scope, digits_checkpoint, tmp_path
):
    """Trained by the tool; every backbone tensor arrives as it was."""
    config, options = short_run(scope, None, 1)
    text = [
        f'_base_ = {str(config)!r}',
        "norm_cfg = dict(_delete_=True, type='BN', requires_grad=True)",
        'model = dict(backbone=dict(',
        "    attention=dict(_delete_=True, type='BridgeAttentionV2'),",
        '    norm_cfg=norm_cfg,',
        "    init_cfg=dict(_delete_=True, type='Pretrained', "
        f"checkpoint={str(digits_checkpoint)!r}, prefix='backbone.')))",
    ]
    child = written(tmp_path, '\n'.join(text))
    # A learning rate of zero: what is saved is what was loaded.
    options += ['optim_wrapper.optimizer.lr=0.0', 'param_scheduler=[]']
    options += ['model.backbone.norm_eval=True']
    result = tool('train.py', child, '--work-dir', tmp_path / 'w', *options)
    assert result.returncode == 0, result.stderr[-3000:]
    log = result.stdout + result.stderr
    expected = 'BAResNet: 100 of 100 tensors loaded; attention of blocks: 8 lo'
    assert len(re.findall(expected, log)) == 1
    saved = Path((tmp_path / 'w' / 'last_checkpoint').read_text())
    source = torch.load(digits_checkpoint, weights_only=False)['state_dict']
    found = torch.load(saved, weights_only=False)['state_dict']
    names = [name for name in source if name.startswith('backbone.')]
    assert names == [name for name in found if name.startswith('backbone.')]
    for name in names:
        assert torch.equal(found[name], source[name]), name
