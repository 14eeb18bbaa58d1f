"""Two real processes over gloo, on the CPU."""

import json
import re

import pytest
import torch
from inputs import OLD_TORCH
from mmengine.model import convert_sync_batchnorm
from runs import DEMO, ROOT, run, short_run
from torch import nn

from banet import BAMobileNetV3, BAResNet

VERSIONS = ['BridgeAttentionV1', 'BridgeAttentionV2']


@pytest.fixture(scope='module')
def found(digits):
    """What the two processes of tests/two_processes.py measured."""
    script = ROOT / 'tests/two_processes.py'
    result = run(
        'torchrun', '--standalone', '--nproc_per_node=2', script, digits
    )
    assert result.returncode == 0, result.stderr[-3000:]
    lines = re.findall(r'^\{.*\}$', result.stdout, re.MULTILINE)
    return {line['scope']: line for line in map(json.loads, lines)}


@pytest.mark.slow
@pytest.mark.parametrize('scope', ['mmpretrain', 'mmseg', 'mmdet'])
def test_averaged_gradients_are_those_of_the_joined_batch(found, scope):
    """With norms in eval mode; of a detector, its backbone's and neck's."""
    assert found[scope]['gradients'] <= 1e-6


@pytest.mark.slow
@pytest.mark.parametrize('scope', ['mmpretrain', 'mmseg', 'mmdet'])
def test_no_parameter_is_left_out_of_a_training_step(found, scope):
    """DDP without find_unused_parameters goes on; the weights stay equal."""
    assert found[scope]['apart'] == 0


@pytest.mark.slow
def test_dist_train_starts_on_a_machine_without_gpu(digits, tmp_path):
    config, options = short_run('mmpretrain', digits, 2)
    options += ['train_dataloader.batch_size=5']
    result = run(
        *('bash', ROOT / 'tools/dist_train.sh', config, 2),
        *('--work-dir', tmp_path, *options),
    )
    assert result.returncode == 0, result.stderr[-3000:]
    log = result.stdout + result.stderr
    assert 'Distributed training: True' in log
    # Ten images, five in each of the two processes: one iteration.
    assert 'Epoch(train) [2][1/1]' in log
    assert (tmp_path / 'epoch_2.pth').exists()


@pytest.mark.slow
@pytest.mark.skipif(OLD_TORCH, reason='FSDP2 came with torch 2.6')
def test_processes_that_share_a_network_agree_in_what_comes_in():
    """Each holds a part of the attention, and one all of a kernel."""
    script = ROOT / 'tests/two_shards.py'
    result = run('torchrun', '--standalone', '--nproc_per_node=2', script)
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout.count('[0.0, 0.0]') == 2


@pytest.mark.slow
def test_attention_that_weights_freeze_late_stops_no_training(
    digits, tmp_path
):
    """It has SE's place and learns in frozen stages, until weights come in:
    after DDP has noted which parameters will have gradients."""
    torch.save(BAMobileNetV3('small').state_dict(), tmp_path / 'x.pth')
    base, options = short_run('mmpretrain', digits, 3)
    config = tmp_path / 'config.py'
    config.write_text(
        f'_base_ = {str(base)!r}\n'
        "model = dict(backbone=dict(_delete_=True, type='BAMobileNetV3', "
        "arch='small', frozen_stages=6, init_cfg=dict(type='Pretrained', "
        f'checkpoint={str(tmp_path / "x.pth")!r})), '
        'head=dict(in_channels=576))\n'
    )
    options += ['train_dataloader.batch_size=5']
    result = run(
        *('bash', ROOT / 'tools/dist_train.sh', config, 2),
        *('--work-dir', tmp_path / 'run', *options),
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert 'Epoch(train) [3][1/1]' in result.stdout + result.stderr


@pytest.mark.slow
def test_dist_train_says_in_one_line_that_sync_bn_needs_gpus(tmp_path):
    result = run(
        *('bash', ROOT / 'tools/dist_train.sh'),
        *(DEMO / 'upernet_ba-r18_nuclei.py', 1, '--work-dir', tmp_path),
        *('--cfg-options', 'model.auxiliary_head.norm_cfg.type=SyncBN'),
    )
    assert result.returncode != 0
    assert 'train.py: SyncBN needs GPUs' in result.stderr


@pytest.mark.parametrize('version', VERSIONS)
def test_conversion_to_sync_bn_reaches_every_norm(version):
    model = BAResNet(18, attention=dict(type=version))
    norms = [
        name
        for name, m in model.named_modules()
        if isinstance(m, nn.modules.batchnorm._BatchNorm)
    ]
    converted = dict(convert_sync_batchnorm(model).named_modules())
    assert any('attention' in name for name in norms)
    assert all(isinstance(converted[n], nn.SyncBatchNorm) for n in norms)


@pytest.mark.parametrize('version', VERSIONS)
def test_converted_attention_computes_the_formula(version):
    """In one process, where SyncBN's batch is the process's own."""
    model = BAResNet(18, attention=dict(type=version)).layer1[0].attention
    pooled = [torch.randn(6, width) for width in model.in_channels]
    expected = model(pooled)
    torch.testing.assert_close(convert_sync_batchnorm(model)(pooled), expected)
