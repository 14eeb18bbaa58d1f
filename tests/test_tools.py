"""tools/train.py and test.py, and upstream's own scripts, on real images."""
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.utils import get_installed_path

ROOT = Path(__file__).parent.parent
DEMO = ROOT / 'configs' / 'demo'
NUCLEI = ROOT / 'data' / 'nuclei_mini'
# Two iterations on small images, then a validation on two images.
SHORT = {
    'mmdet': (DEMO / 'mask-rcnn_ba-r18_fpn_nuclei.py', [
        'train_cfg.max_epochs={}', 'train_cfg.val_interval=1',
        'train_dataloader.dataset.indices=4',
        'val_dataloader.dataset.indices=2',
        'test_dataloader.dataset.indices=2',
        'train_dataloader.dataset.pipeline.2.scale=(96,96)',
        'val_dataloader.dataset.pipeline.1.scale=(96,96)',
        'default_hooks.checkpoint.interval=1'
    ]),
    'mmseg': (DEMO / 'upernet_ba-r18_nuclei.py', [
        'train_cfg.max_iters={}', 'train_cfg.val_interval=1',
        'train_dataloader.batch_size=2', 'crop_size=(64,64)',
        'train_pipeline.2.crop_size=(64,64)',
        'train_dataloader.dataset.pipeline.2.crop_size=(64,64)',
        'model.data_preprocessor.size=(64,64)',
        'val_dataloader.dataset.indices=2',
        'test_dataloader.dataset.indices=2',
        'default_hooks.checkpoint.interval=1'
    ]),
    'mmpretrain': (DEMO / 'ba-resnet18_digits.py', [
        'train_cfg.max_epochs={}', 'train_cfg.val_interval=1',
        'train_dataloader.dataset.data_prefix=train',
        'val_dataloader.dataset.data_prefix=val',
        'test_dataloader.dataset.data_prefix=val',
        'train_dataloader.batch_size=4',
        'default_hooks.checkpoint.interval=1'
    ]),
}


def run(*command, cwd=ROOT):
    return subprocess.run([str(word) for word in command],
                          cwd=cwd,
                          capture_output=True,
                          text=True)


def python(script, *args, **kwargs):
    return run(sys.executable, script, *args, **kwargs)


def tool(name, *args, **kwargs):
    return python(ROOT / 'tools' / name, *args, **kwargs)


@pytest.fixture(scope='session')
def digits(tmp_path_factory):
    """Eight training and five validation scans of the digits."""
    root = tmp_path_factory.mktemp('digits') / 'full'
    assert tool('prepare_digits.py', root).returncode == 0
    assert len(list(root.glob('train/*/*.png'))) == 1437
    assert len(list(root.glob('val/*/*.png'))) == 360
    small = root.with_name('small')
    for split, count in (('train', 1), ('val', 1)):
        for folder in sorted((root / split).iterdir()):
            (small / split / folder.name).mkdir(parents=True)
            for image in sorted(folder.iterdir())[:count]:
                image.rename(small / split / folder.name / image.name)
    return small


def short_run(scope, digits, length):
    """A demo config and the options that cut it to ``length`` units."""
    config, options = SHORT[scope]
    options = [option.format(length) for option in options]
    if scope == 'mmpretrain':
        options += [
            f'{split}_dataloader.dataset.data_root={digits}'
            for split in ('train', 'val', 'test')
        ]
    return config, ['--cfg-options', *options]


@pytest.mark.parametrize('scope', SHORT)
def test_upstreams_own_script_trains_and_ours_resumes_and_tests(
        scope, digits, tmp_path):
    upstream = Path(get_installed_path(scope)) / '.mim/tools/train.py'
    config, options = short_run(scope, digits, 1)
    first = python(upstream, config, '--work-dir', tmp_path, *options)
    assert first.returncode == 0, first.stderr[-3000:]
    saved = Path((tmp_path / 'last_checkpoint').read_text())
    assert saved.name in ('epoch_1.pth', 'iter_1.pth')

    config, options = short_run(scope, digits, 2)
    second = tool('train.py', config, '--work-dir', tmp_path, '--resume',
                  *options)
    assert second.returncode == 0, second.stderr[-3000:]
    log = second.stdout + second.stderr
    assert 'resumed epoch: 1' in log or 'resumed from epoch: 1' in log \
        or 'iter: 1' in log
    saved = Path((tmp_path / 'last_checkpoint').read_text())
    assert saved.name in ('epoch_2.pth', 'iter_2.pth')

    third = tool('test.py', config, saved, '--work-dir', tmp_path / 'test',
                 *options)
    assert third.returncode == 0, third.stderr[-3000:]
    assert any(metric in third.stdout + third.stderr
               for metric in ('accuracy/top1', 'mIoU', 'coco/bbox_mAP'))


def no_scope(folder):
    path = folder / 'scopeless.py'
    path.write_text('model = dict()\n')
    return path


def unknown_scope(folder):
    path = folder / 'mmrotate.py'
    path.write_text("default_scope = 'mmrotate'\n")
    return path


def broken(folder):
    path = folder / 'broken.py'
    path.write_text('model = dict(\n')
    return path


def lost_base(folder):
    path = folder / 'lost.py'
    path.write_text("_base_ = './nowhere.py'\n")
    return path


DET = DEMO / 'mask-rcnn_ba-r18_fpn_nuclei.py'


@pytest.mark.parametrize('make,message', [
    (lambda folder: [], 'no config is given. Name a file'),
    (lambda folder: [ROOT / 'README.md'], 'README.md is not a config'),
    (lambda folder: ['missing.py'], 'config missing.py does not exist'),
    (lambda folder: [no_scope(folder)],
     'default_scope=None, which names no library'),
    (lambda folder: [unknown_scope(folder)],
     "default_scope='mmrotate', which names no library"),
    (lambda folder: [broken(folder)], 'cannot be read as a config: '),
    (lambda folder: [lost_base(folder)], 'cannot be read as a config: '),
    (lambda folder: [
        DET, '--work-dir', folder / 'w', '--cfg-options',
        'train_dataloader.dataset.data_root=nowhere/'
    ], 'train_dataloader.dataset.data_root=nowhere/ does not exist'),
    (lambda folder: [
        DET, '--work-dir', folder / 'w', '--cfg-options',
        'val_dataloader.dataset.data_root=nowhere/'
    ], 'val_dataloader.dataset.data_root=nowhere/ does not exist'),
    (lambda folder: [DET, '--work-dir', no_scope(folder) / 'inside'],
     'inside cannot be written: '),
    (lambda folder: [
        DET, '--work-dir', folder / 'w', '--resume', 'missing.pth'
    ], 'checkpoint missing.pth does not exist'),
    (lambda folder: [
        DET, '--work-dir', folder / 'w', '--cfg-options',
        'load_from=missing.pth'
    ], 'checkpoint missing.pth does not exist'),
    (lambda folder: [DET, '--work-dir', folder / 'w', '--launcher',
                     'pytorch'], '--launcher pytorch needs a GPU'),
])
def test_bad_input_of_train_ends_in_one_line(make, message, tmp_path):
    result = tool('train.py', *make(tmp_path))
    assert result.returncode == 1
    assert message in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith('train.py: ') or 'train.py: ' in result.stderr
    assert 'Traceback' not in result.stderr
    assert not list(tmp_path.glob('w/*'))  # no log, no checkpoint


@pytest.mark.parametrize('name,content,message', [
    ('missing.pth', None, 'missing.pth does not exist'),
    ('page.pth', b'<!DOCTYPE html><html>not found</html>',
     'page.pth is not a checkpoint: it starts with'),
    ('empty.pth', b'', 'empty.pth is not a checkpoint: it starts with'),
])
def test_bad_checkpoint_of_test_ends_in_one_line(name, content, message,
                                                 tmp_path):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    result = tool('test.py', DET, path, '--work-dir', tmp_path / 'w')
    assert result.returncode == 1
    assert message in result.stderr
    assert 'Traceback' not in result.stderr


def test_missing_library_is_named_with_its_pip_line(tmp_path):
    """A real second process in which mmdet cannot be found."""
    code = ('import sys\n'
            'class Hide:\n'
            '    def find_spec(self, name, path=None, target=None):\n'
            "        if name.split('.')[0] == 'mmdet':\n"
            '            raise ModuleNotFoundError(name=name)\n'
            'import importlib.util as util\n'
            'find = util.find_spec\n'
            'util.find_spec = lambda name, *a: None if name == "mmdet" '
            'else find(name, *a)\n'
            'import banet.launch\n'
            "banet.launch.main('train.py')\n")
    config = tmp_path / 'det.py'
    config.write_text("default_scope = 'mmdet'\n")
    result = run(sys.executable, '-c', code, config)
    assert result.returncode == 1
    assert 'needs mmdet, which is not installed: pip install ' \
        'onedl-mmdetection==' in result.stderr


def test_help_behind_a_config_is_the_librarys():
    result = tool('train.py', DET, '--help')
    assert result.returncode == 0
    assert '--auto-scale-lr' in result.stdout


@pytest.fixture
def fake_path(tmp_path):
    """A PATH on which torchrun and srun print how they were called."""
    for name in ('torchrun', 'srun'):
        script = tmp_path / name
        script.write_text('#!/bin/sh\necho "$(basename "$0")" "$@"\n')
        script.chmod(script.stat().st_mode | stat.S_IEXEC)
    return {'PATH': f'{tmp_path}:{os.environ["PATH"]}'}


@pytest.mark.parametrize('script,args,expected', [
    ('dist_train.sh', ['c.py', '8', '--amp'],
     'torchrun --nnodes=2 --node_rank=1 --master_addr=10.0.0.1 '
     '--master_port=29501 --nproc_per_node=8 {tools}/train.py c.py '
     '--launcher pytorch --amp'),
    ('dist_test.sh', ['c.py', 'x.pth', '8', '--tta'],
     'torchrun --nnodes=2 --node_rank=1 --master_addr=10.0.0.1 '
     '--master_port=29501 --nproc_per_node=8 {tools}/test.py c.py x.pth '
     '--launcher pytorch --tta'),
    ('slurm_train.sh', ['part', 'job', 'c.py', '--amp'],
     'srun -p part --job-name=job --gres=gpu:8 --ntasks=16 '
     '--ntasks-per-node=8 --cpus-per-task=5 --kill-on-bad-exit=1 --quiet '
     'python -u {tools}/train.py c.py --launcher slurm --amp'),
    ('slurm_test.sh', ['part', 'job', 'c.py', 'x.pth'],
     'srun -p part --job-name=job --gres=gpu:8 --ntasks=16 '
     '--ntasks-per-node=8 --cpus-per-task=5 --kill-on-bad-exit=1 --quiet '
     'python -u {tools}/test.py c.py x.pth --launcher slurm'),
])
def test_launch_scripts_pass_everything_on(script, args, expected, fake_path):
    environment = dict(
        os.environ,
        **fake_path,
        NNODES='2',
        NODE_RANK='1',
        MASTER_ADDR='10.0.0.1',
        PORT='29501',
        GPUS='16',
        SRUN_ARGS='--quiet')
    tools = ROOT / 'tools'
    result = subprocess.run(['bash', tools / script, *args],
                            env=environment,
                            capture_output=True,
                            text=True)
    assert result.stdout.strip() == expected.format(tools=tools)
