"""The demo trainings cut short, and processes that run them."""

import os
import re
import runpy
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from fork_server import run_script

from banet.apis.config import load_config
from banet.apis.model import build_model
from banet.engine import launch

ROOT = Path(__file__).parent.parent  # of the repository
DEMO = ROOT / 'configs' / 'demo'
DET = DEMO / 'mask-rcnn_ba-r18_fpn_nuclei.py'
NUCLEI = ROOT / 'data' / 'nuclei_mini'
VAL = NUCLEI / 'images' / 'val'
IMAGES = [
    str(VAL / f'{name}.png')
    for name in ('003cee89357d9fe1', '3b957237bc1e0974')
]
IMAGE = IMAGES[0]
# For the heads of two-stage detectors, which are not ours.
FEW_BOXES = [
    'model.train_cfg.rpn_proposal.max_per_img=32',
    'model.train_cfg.rcnn.sampler.num=16',
    'model.test_cfg.rcnn.max_per_img=8',
]
# Two iterations on small images, then a validation on two images.
SHORT = {
    'mmdet': (
        DET,
        [
            'train_cfg.max_epochs={}',
            'train_cfg.val_interval=1',
            'train_dataloader.dataset.indices=4',
            'val_dataloader.dataset.indices=2',
            'test_dataloader.dataset.indices=2',
            'train_dataloader.dataset.pipeline.2.scale=(96,96)',
            'val_dataloader.dataset.pipeline.1.scale=(96,96)',
            *FEW_BOXES,
            'default_hooks.checkpoint.interval=1',
        ],
    ),
    'mmseg': (
        DEMO / 'upernet_ba-r18_nuclei.py',
        [
            'train_cfg.max_iters={}',
            'train_cfg.val_interval=1',
            'train_dataloader.batch_size=2',
            'train_dataloader.dataset.pipeline.2.crop_size=(64,64)',
            'model.data_preprocessor.size=(64,64)',
            'val_dataloader.dataset.indices=2',
            'test_dataloader.dataset.indices=2',
            'default_hooks.checkpoint.interval=1',
        ],
    ),
    'mmpretrain': (
        DEMO / 'ba-resnet18_digits.py',
        [
            'train_cfg.max_epochs={}',
            'train_cfg.val_interval=1',
            'train_dataloader.batch_size=4',
            'default_hooks.checkpoint.interval=1',
        ],
    ),
}


def run(*command, cwd=ROOT):
    """Run a command as in an activated environment."""
    path = f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, 'PATH': path},
        capture_output=True,
        text=True,
    )


def python(script, *args, cwd=ROOT, **variables):
    """Run a script in a process that has the libraries already."""
    return run_script(script, *args, cwd=cwd, **variables)


def python_code(code, *args, cwd=ROOT):
    """As ``python -c code args``, in a process that has the libraries."""
    with tempfile.TemporaryDirectory() as folder:
        return python(written(Path(folder), code), *args, cwd=cwd)


def shell(line, cwd=ROOT):
    """Run a line as in an activated environment; a script alone is forked."""
    script = re.fullmatch(
        r'(?:PYTHONPATH=(\S+) )?python ((?:tools|docs)/[^>]*)', line
    )
    if not script:
        return run('bash', '-c', line, cwd=cwd)
    path = script[1] or os.environ.get('PYTHONPATH', '')
    return python(*shlex.split(script[2]), cwd=cwd, PYTHONPATH=path)


def without_ops(name, *args):
    """Run a tool as with mmcv-lite, which has no module mmcv._ext."""
    code = (
        'import sys, runpy\n'
        "sys.modules['mmcv._ext'] = None\n"
        'sys.argv = sys.argv[1:]\n'
        'import banet\n'
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "assert not any(n.startswith('mmcv.ops') for n in sys.modules)\n"
    )
    return run(sys.executable, '-c', code, ROOT / 'tools' / name, *args)


def tool(name, *args, **kwargs):
    return python(ROOT / 'tools' / name, *args, **kwargs)


def stopped(monkeypatch, name, *args):
    """The line with which ``tools/name args`` stops, run in this process."""
    monkeypatch.setattr(sys, 'argv', [f'tools/{name}', *map(str, args)])
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as stop:
        launch.main(name)
    assert stop.value.code.startswith(f'{name}: ')
    return stop.value.code


def error_of(name, args, monkeypatch):
    """What the tool ends with, in this process."""
    monkeypatch.setattr(sys, 'argv', [name, *map(str, args)])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / 'tools' / name), run_name='__main__')
    assert isinstance(stop.value.code, str)  # not a status alone
    return stop.value.code


def written(folder, text):
    """A config of that text."""
    path = folder / 'config.py'
    path.write_text(text)
    return path


def trained_rival(kind, folder):
    """Config and checkpoint of a small classifier with another attention."""
    config = folder / 'rival.py'
    config.write_text(
        f'_base_ = {str(TASKS["cls"][0])!r}\n'
        f'model = dict(backbone=dict(attention=dict('
        f'type={kind!r})))\n'
    )
    torch.manual_seed(0)
    model = build_model(load_config(str(config)))
    path = folder / 'rival.pth'
    torch.save(dict(meta={}, state_dict=model.state_dict()), path)
    return config, path


def make_digits(root, per_class=1):
    """Write ``per_class`` training and validation scans of each digit."""
    full = root.with_name(f'{root.name}-full')
    assert tool('prepare_digits.py', full).returncode == 0
    for split in ('train', 'val'):
        for folder in sorted((full / split).iterdir()):
            (root / split / folder.name).mkdir(parents=True)
            for image in sorted(folder.iterdir())[:per_class]:
                image.rename(root / split / folder.name / image.name)
    return root


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


# task -> its demo config, names of the classes
TASKS = {
    'cls': (DEMO / 'ba-resnet18_digits.py', tuple('0123456789')),
    'det': (DET, ('nucleus',)),
    'seg': (DEMO / 'upernet_ba-r18_nuclei.py', ('background', 'nucleus')),
}
PLAIN = DEMO / 'resnet18_digits.py'  # beside 'cls', to compare with


# As a training writes them, where the config has them.
PALETTE = {
    'det': [(220, 20, 60)],
    'seg': [(0, 0, 0), (220, 20, 60)],
}


def write_checkpoints(folder):
    """Paths of the demos' networks, untrained, by task."""
    paths = {}
    networks = {**TASKS, 'plain': (PLAIN, TASKS['cls'][1])}
    for task, (config, classes) in networks.items():
        torch.manual_seed(0)
        model = build_model(load_config(str(config)))
        model.init_weights()
        paths[task] = folder / f'{task}.pth'
        meta = dict(
            dataset_meta=dict(classes=classes, palette=PALETTE.get(task))
        )
        torch.save(dict(state_dict=model.state_dict(), meta=meta), paths[task])
    return paths
