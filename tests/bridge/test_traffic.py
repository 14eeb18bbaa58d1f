"""What a block costs, counted and not timed: bytes and calls."""

import pytest
import torch
from inputs import needs_compiler
from mmcv.cnn import fuse_conv_bn
from mmpretrain.models.backbones import ResNet
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from banet import BAResNet

ATTENTION = dict(type='BridgeAttentionV2', ratio=16)


def block(cls, deploy=False, norm_eval=False, **arguments):
    """A bottleneck with stride 1 and an identity shortcut, as R50 has it."""
    torch.manual_seed(0)
    model = cls(50, **arguments)
    model.train(not deploy)  # upstream's returns nothing
    if deploy:
        getattr(model, 'switch_to_deploy', lambda: fuse_conv_bn(model))()
    chosen = model.layer2[1]
    for module in chosen.modules():
        if norm_eval and isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    return chosen.to(memory_format=torch.channels_last)


def bytes_moved(block, training, monkeypatch):
    """Inductor's own count for a pass forward, and backward if it trains."""
    from torch._functorch import config
    from torch._inductor import config as inductor
    from torch._inductor import metrics
    from torch._inductor.compile_fx import inductor_metrics_log as log

    # It counts where its log would say so, and not what a cache holds.
    monkeypatch.setattr(log, 'isEnabledFor', lambda level: True)
    monkeypatch.setattr(log, 'disabled', True)
    torch.compiler.reset()
    metrics.reset()
    x = torch.rand(8, 512, 28, 28).to(memory_format=torch.channels_last)
    with (
        config.patch(enable_autograd_cache=False),
        inductor.patch(fx_graph_cache=False),
        torch.set_grad_enabled(training),
    ):
        out = torch.compile(block, fullgraph=True)(x.requires_grad_(training))
        if training:
            out.sum().backward()
    return metrics.num_bytes_accessed


# What the form that was written first moves is behind the limits.
@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize(
    'arguments,training,limit',
    [
        pytest.param({}, True, 1.10, id='training'),  # 1.30
        pytest.param(dict(norm_eval=True), True, 1.05, id='norm_eval'),  # 1.13
        pytest.param(dict(deploy=True), False, 1.08, id='deploy'),
    ],
)
def test_compiled_block_moves_hardly_more_bytes(
    arguments, training, limit, monkeypatch
):
    plain, bridged = (
        bytes_moved(block(cls, **arguments), training, monkeypatch)
        for cls in (ResNet, BAResNet)
    )
    assert 0 < plain < bridged <= limit * plain


class Calls(TorchDispatchMode):
    """Counts what reaches a device, without views."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.names.append(func.overloadpacket._qualified_op_name)
        return out


def calls(block, training):
    x = torch.rand(1, 512, 28, 28, requires_grad=training)
    with Calls() as mode, torch.set_grad_enabled(training):
        out = block(x)
    assert out.shape == x.shape
    return mode.names


def test_deploy_form_adds_few_calls_at_batch_one():
    """Two means, cat, two Linears, ReLU and sigmoid; addcmul for add."""
    plain, bridged = (
        calls(block(cls, deploy=True), False) for cls in (ResNet, BAResNet)
    )
    assert len(bridged) - len(plain) <= 7, bridged
    assert not any(name.split('::')[1] == 'mul' for name in bridged)
