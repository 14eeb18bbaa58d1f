"""Low precision, derivatives, compilation, the same numbers twice."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from runs import make_digits, short_run
from torch import nn
from torch.autograd import gradcheck
from torch.func import functional_call

from banet import (
    BABasicBlock,
    BABottleneck,
    BAResNet,
    BridgeAttentionV1,
    BridgeAttentionV2,
)

VERSIONS = [BridgeAttentionV1, BridgeAttentionV2]
BLOCKS = [BABasicBlock, BABottleneck]


def small(depth, version):
    torch.manual_seed(0)
    model = BAResNet(
        depth,
        base_channels=16,
        stem_channels=16,
        attention=dict(type=version.__name__, ratio=4),
    )
    model.init_weights()
    return model


def block(cls, version, channels=8, **kwargs):
    torch.manual_seed(0)
    return cls(
        channels,
        channels,
        attention=dict(type=version.__name__, ratio=2),
        **kwargs,
    )


def supports(dtype):
    """Before torch 2.3, autocast on the CPU knew bfloat16 only."""
    version = tuple(map(int, torch.__version__.split('.')[:2]))
    return dtype is torch.bfloat16 or version >= (2, 3)


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


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('version', VERSIONS)
def test_derivatives_of_the_attention_are_right(version, training):
    torch.manual_seed(0)
    widths = (3, 5, 8)
    attention = version(widths, 8, ratio=2).double().train(training)
    pooled = [torch.randn(4, w).double().requires_grad_() for w in widths]
    names = [name for name, _ in attention.named_parameters()]

    def gate(*tensors):
        parameters = dict(zip(names, tensors[3:], strict=True))
        return functional_call(attention, parameters, (tensors[:3],))

    assert gradcheck(gate, (*pooled, *attention.parameters()))


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('cls', BLOCKS)
def test_derivatives_of_the_block_are_right(cls, version, training):
    """With respect to the input and to every parameter."""
    model = block(cls, version).double().train(training)
    names = [name for name, _ in model.named_parameters()]
    x = torch.randn(3, 8, 3, 4).double().requires_grad_()

    def forward(x, *parameters):
        state = dict(zip(names, parameters, strict=True))
        return functional_call(model, state, (x,))

    assert gradcheck(forward, (x, *model.parameters()), atol=1e-6)


@pytest.mark.parametrize('cls', BLOCKS)
def test_block_compiled_to_machine_code_computes_the_same(cls):
    """Outputs and gradients, training, by torch.compile's own compiler."""
    torch.compiler.reset()
    eager = block(cls, BridgeAttentionV2, channels=16).double().train()
    compiled = copy.deepcopy(eager)
    images = torch.randn(3, 16, 6, 5).double()
    results = []
    for model, call in ((eager, eager), (compiled, torch.compile(compiled))):
        x = images.clone().requires_grad_()
        out = call(x)
        out.square().mean().backward()
        results.append(
            [out, x.grad]
            + [p.grad for p in model.parameters()]
            + [b.double() for b in model.buffers()]
        )
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b)


@pytest.fixture(scope='module')
def digits(tmp_path_factory):
    return make_digits(tmp_path_factory.mktemp('digits') / 'small', 4)


@pytest.mark.parametrize('workers', [0, 2])
def test_same_seed_gives_the_same_weights(workers, digits, tmp_path):
    """After 20 iterations of the classification demo."""
    path, (_, *options) = short_run('mmpretrain', digits, 2)
    weights = []
    for attempt in 'ab':
        cfg = Config.fromfile(path)
        cfg.merge_from_dict(
            dict(
                option.split('=', 1) for option in options if 'root' in option
            )
        )
        cfg.train_dataloader.update(
            batch_size=4,
            num_workers=workers,
            persistent_workers=workers > 0,
        )
        cfg.train_cfg.update(max_epochs=2, val_interval=2)
        cfg.work_dir = str(tmp_path / attempt)
        cfg.experiment_name = f'{workers}{attempt}'
        runner = Runner.from_cfg(cfg)
        model = runner.train()
        assert runner.iter == 20
        weights.append(model.state_dict())
    assert any(isinstance(m, nn.BatchNorm1d) for m in model.modules())
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name
