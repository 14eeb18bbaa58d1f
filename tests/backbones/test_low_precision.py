"""Autocast is finite, whatever the inputs' scale."""

import pytest
import torch
from contract import THIN
from inputs import supports
from torch import nn

from banet import BAResNet, BridgeAttentionV1, BridgeAttentionV2

pytestmark = pytest.mark.slow

VERSIONS = [BridgeAttentionV1, BridgeAttentionV2]


def small(depth, version):
    torch.manual_seed(0)
    model = BAResNet(
        depth,
        **THIN,
        attention=dict(type=version.__name__, ratio=4),
    )
    model.init_weights()
    return model


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('scale', [1e-3, 1.0, 1e3])
@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('depth', [18, 50])
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_autocast_is_finite_whatever_the_inputs_scale(
    dtype, depth, version, scale, training
):
    if not supports(dtype):
        pytest.skip(f'autocast of torch {torch.__version__} has no {dtype}')
    model = small(depth, version).train()
    x = scale * torch.randn(3, 3, 64, 64)
    for module in model.modules():  # statistics of such inputs for eval mode
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0
    model(x)
    model.train(training)
    with torch.autocast('cpu', dtype):
        out = model(x)[-1]
    assert out.dtype in (dtype, torch.float32)
    out.float().abs().mean().backward()
    assert out.isfinite().all()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), name
