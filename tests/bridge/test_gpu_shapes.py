"""What would run on a GPU fits together, though there is none here.

Fake tensors have a device, a dtype, a shape and no values: an operation that
does not take them, or that asks for a value, raises. Autograd's engine wants
a real GPU: the backward pass is tested on the CPU alone.
"""

import pytest
import torch
from inputs import needs_new_torch
from resnets import bridged, V1, V2
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

LAYOUTS = [torch.contiguous_format, torch.channels_last]


def move(module, device, half):
    """As autocast: layers give half precision, norms keep theirs."""
    layer = isinstance(module, (nn.Conv2d, nn.Linear))
    dtype = torch.float16 if half and layer else torch.float32
    for name, p in module.named_parameters(recurse=False):
        p = torch.empty(p.shape, dtype=dtype, device=device)
        setattr(module, name, nn.Parameter(p))
    for name, b in module.named_buffers(recurse=False):
        setattr(module, name, torch.empty_like(b, device=device))


@needs_new_torch  # old fake tensors ask for a driver
@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('half', [False, True])
@pytest.mark.parametrize('attention', [V1, V2])
def test_training_step_asks_a_gpu_for_no_value(attention, half, layout):
    """So that the host need not wait for the device."""
    stage = bridged(50, attention=attention).layer2
    blocks = nn.Sequential(stage[0], stage[1]).train()
    for block in blocks:
        # PyTorch's own call would ask for the number of batches.
        block.bn3.momentum = None
    dtype = torch.float16 if half else torch.float32
    with FakeTensorMode(allow_non_fake_inputs=True):
        for module in blocks.modules():
            move(module, 'cuda', half)
        x = torch.empty(4, 64, 8, 8, dtype=dtype, device='cuda')
        out = blocks(x.to(memory_format=layout).requires_grad_())
    assert out.shape == (4, 128, 4, 4)
    assert (out.device.type, out.dtype) == ('cuda', dtype)
    assert out.requires_grad
