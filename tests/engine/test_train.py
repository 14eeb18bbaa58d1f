"""Trainings by upstream's script and by ours, of all three libraries."""

import re
from pathlib import Path

import pytest
import torch
from mmengine.utils import get_installed_path
from runs import (
    python,
    SHORT,
    short_run,
    tool,
    without_ops,
    written,
)

pytestmark = pytest.mark.slow


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


@pytest.fixture(scope='session')
def digits_checkpoint(digits, tmp_path_factory):
    """What our classification config leaves after two iterations."""
    work_dir = tmp_path_factory.mktemp('pretraining')
    config, options = short_run('mmpretrain', digits, 2)
    result = tool('train.py', config, '--work-dir', work_dir, *options)
    assert result.returncode == 0, result.stderr[-3000:]
    return Path((work_dir / 'last_checkpoint').read_text())


def test_weights_of_another_depth_end_a_training_without_a_traceback(
    digits, digits_checkpoint, tmp_path
):
    """Only the network itself can tell, when the Runner has built it."""
    config, options = short_run('mmpretrain', digits, 1)
    result = tool(
        'train.py',
        *(config, '--work-dir', tmp_path, *options, 'model.backbone.depth=34'),
        'model.backbone.init_cfg.type=Pretrained',
        f'model.backbone.init_cfg.checkpoint={digits_checkpoint}',
        'model.backbone.init_cfg.prefix=backbone.',
    )
    assert result.returncode == 1
    assert 'Traceback' not in result.stderr
    told = 'train.py: BAResNet cannot take these weights: they are of another'
    assert told in result.stderr


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


def test_a_classifier_trains_without_compiled_ops_of_mmcv(digits, tmp_path):
    """So that tools/compare.py runs where nobody can compile them."""
    config, options = short_run('mmpretrain', digits, 1)
    result = without_ops('train.py', config, '--work-dir', tmp_path, *options)
    assert result.returncode == 0, result.stderr[-2000:]
    assert (tmp_path / 'epoch_1.pth').is_file()
