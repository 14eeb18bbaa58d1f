"""What tools/inspect_checkpoint.py tells of a file."""

import re

import pytest
import torch
from checkpoint_files import classifier, mm
from inputs import needs_new_torch
from resnets import bridged
from runs import tool


@pytest.mark.slow
@needs_new_torch  # old ones read objects with --trust only
def test_inspect_tells_what_a_training_of_mmengines_wrote(tmp_path):
    """Its log and schedulers are objects: they are not run."""
    from mmengine.logging import MessageHub
    from mmengine.optim import MultiStepLR

    hub = MessageHub.get_instance('inspected')
    hub.update_scalar('val/accuracy/top1', 71.5)
    hub.update_scalar('train/loss', 0.3)
    optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.1)
    scheduler = MultiStepLR(optimizer, milestones=[2])
    checkpoint = dict(
        meta=dict(epoch=3, iter=30, version='0.1.0'),
        state_dict=mm(classifier()),
        message_hub=hub.state_dict(),
        param_schedulers=[scheduler.state_dict(), scheduler.__class__],
    )
    torch.save(checkpoint, tmp_path / 'epoch_3.pth')
    result = tool('inspect_checkpoint.py', tmp_path / 'epoch_3.pth')
    model = bridged()
    parameters = sum(p.numel() for p in model.parameters()) + 7 * 129
    found = [line.split('  ', 1) for line in result.stdout.splitlines()]
    assert {key: value.strip() for key, value in found} == {
        'format': "mm, the backbone under 'backbone.' (under 'state_dict')",
        'network': 'BAResNet',
        'depth': '18',
        'attention': 'BridgeAttentionV2 in 8 blocks',
        'classes': '7',
        'tensors': '202',
        'parameters': f'{parameters:,}',
        'written by': 'banet 0.1.0',
        'epoch': '3',
        'iter': '30',
        'accuracy/top1': '71.5',
        'not weights': 'message_hub, param_schedulers',
    }


@pytest.mark.slow
def test_nan_is_told(tmp_path):
    state_dict = classifier()
    state_dict['conv1.weight'][0] = float('nan')
    torch.save(state_dict, tmp_path / 'nan.pth')
    result = tool('inspect_checkpoint.py', tmp_path / 'nan.pth')
    assert re.search('WARNING +NaN or infinity in conv1.weight', result.stdout)
