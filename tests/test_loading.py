"""Weights that come in: exact warm start, other names, one report."""

import pytest
import torch
from mmdet.models.backbones import ResNetV1d as DetResNetV1d
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope, MODELS
from mmengine.runner import load_checkpoint, Runner
from mmpretrain.models.backbones import ResNet, ResNetV1c, ResNetV1d, ResNeXt
from mmseg.models.backbones import ResNetV1c as SegResNetV1c
from mmseg.models.backbones import ResNetV1d as SegResNetV1d
from torch import nn

from banet import BAResNet, BAResNetV1c, BAResNetV1d, BAResNeXt

V1 = dict(type='BridgeAttentionV1', ratio=4)
V2 = dict(type='BridgeAttentionV2', ratio=4)
LN = dict(norm_cfg=dict(type='LN'))
NARROW = dict(base_channels=16, stem_channels=16)
GN = dict(norm_cfg=dict(type='GN', num_groups=4))


def images(dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(3, 3, 64, 64, generator=generator).to(dtype)


def trained(model, seed=0):
    """``model`` with every tensor away from its initial value."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if name.endswith('num_batches_tracked'):
            continue
        if tensor.dim() > 1:
            tensor.normal_(
                0, (2 / tensor[0].numel()) ** 0.5, generator=generator
            )
        elif name.endswith(('weight', 'running_var')):
            tensor.uniform_(0.5, 1.5, generator=generator)
        else:
            tensor.normal_(0, 0.1, generator=generator)
    return model


def plain(depth=18, cls=ResNet, **kwargs):
    return trained(cls(depth=depth, **{**NARROW, **kwargs}))


def bridged(depth=18, cls=BAResNet, attention=V2, **kwargs):
    """With attention weights far from neutral."""
    return trained(cls(depth, attention=attention, **{**NARROW, **kwargs}), 7)


def shared_gradients(model, halved=()):
    return {
        name: parameter.grad * (2 if name in halved else 1)
        for name, parameter in model.named_parameters()
        if '.attention.' not in name and parameter.grad is not None
    }


def last_norms(model):
    """Names of the doubled parameters: the last norm of each block."""
    last = 2 if model.depth < 50 else 3
    return {
        name
        for name, _ in model.named_parameters()
        if f'.bn{last}.' in name or f'.gn{last}.' in name
        if name.startswith('layer')
    }


def relative(a, b):
    return ((a - b).norm() / b.norm().clamp(min=1e-30)).item()


WAYS = {
    'basic': (18, ResNet, BAResNet, V2, {}),
    'bottleneck': (50, ResNet, BAResNet, V2, {}),
    'v1': (18, ResNet, BAResNet, V1, {}),
    'v1-bottleneck': (50, ResNet, BAResNet, V1, {}),
    'syncbn': (18, ResNet, BAResNet, V2, dict(norm_cfg=dict(type='SyncBN'))),
    'gn': (18, ResNet, BAResNet, dict(V2, **LN), GN),
    'gn-v1': (50, ResNet, BAResNet, dict(V1, **LN), GN),
    'v1c': (50, ResNetV1c, BAResNetV1c, V2, {}),
    'v1d': (50, ResNetV1d, BAResNetV1d, V2, {}),
    'resnext': (50, ResNeXt, BAResNeXt, V2, dict(groups=4)),
    'caffe': (50, ResNet, BAResNet, V2, dict(style='caffe')),
    'frozen': (50, ResNet, BAResNet, V2, dict(frozen_stages=1)),
    'norm_eval': (18, ResNet, BAResNet, V2, dict(norm_eval=True)),
    'hsigmoid': (
        18,
        ResNet,
        BAResNet,
        dict(V2, gate_cfg=dict(type='HSigmoid')),
        {},
    ),
}


@pytest.mark.parametrize('training', [False, True])
@pytest.mark.parametrize(
    'dtype,tolerance', [(torch.float32, 1e-6), (torch.float64, 1e-12)]
)
@pytest.mark.parametrize('way', WAYS)
def test_warm_started_network_is_the_plain_one(
    way, dtype, tolerance, training
):
    """Outputs and the gradients of the shared parameters.

    The last norms' parameters are twice the plain ones, so their gradient is
    half of the plain one. In float32 train mode the gradients differ by
    rounding, up to 7e-6: far below the plain ones' own distance from float64
    here, up to 4e-2.
    """
    depth, plain_class, our_class, attention, kwargs = WAYS[way]
    base = plain(depth, plain_class, **kwargs).to(dtype)
    model = bridged(depth, our_class, attention, **kwargs).to(dtype)
    model.load_state_dict(base.state_dict(), strict=False)
    base.train(training)
    model.train(training)
    expected, out = base(images(dtype))[-1], model(images(dtype))[-1]
    assert relative(out, expected) < tolerance
    for y in (expected, out):
        (y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum().backward()
    expected = shared_gradients(base)
    found = shared_gradients(model, last_norms(model))
    assert found.keys() == expected.keys()
    rounded = training and dtype == torch.float32
    for name, gradient in expected.items():
        error = relative(found[name], gradient)
        assert error < (1e-5 if rounded else tolerance), name


@pytest.mark.parametrize('depth', [18, 34, 50, 101, 152])
def test_every_depth_warm_starts_in_every_block(depth):
    model = bridged(depth)
    report = model.coverage(plain(depth).state_dict())
    blocks = {18: 8, 34: 16, 50: 16, 101: 33, 152: 50}[depth]
    assert report.warm_started == blocks
    assert report.loaded == report.expected


def test_warm_started_attention_learns_from_the_first_step():
    model = bridged()
    model.load_state_dict(plain().state_dict(), strict=False)
    model.train()(images())[-1].square().sum().backward()
    for name, parameter in model.named_parameters():
        if name.endswith('generation.weight'):
            assert parameter.eq(0).all()
            assert parameter.grad.abs().max() > 0, name


def init_cfg(model, path, tmp_path):
    model.init_cfg = dict(type='Pretrained', checkpoint=str(path))
    model.init_weights()


def init_cfg_with_prefix(model, path, tmp_path):
    whole = {
        f'backbone.{name}': value for name, value in torch.load(path).items()
    }
    torch.save(dict(state_dict=whole), path)
    prefix = dict(prefix='backbone.')
    model.init_cfg = dict(type='Pretrained', checkpoint=str(path), **prefix)
    model.init_weights()


def load_from(model, path, tmp_path):
    runner = Runner(model, work_dir=str(tmp_path / 'w'), load_from=str(path))
    runner.load_or_resume()


def runner_load_checkpoint(model, path, tmp_path):
    Runner(model, work_dir=str(tmp_path / 'w')).load_checkpoint(str(path))


def mmengine_load_checkpoint(model, path, tmp_path):
    load_checkpoint(model, str(path), map_location='cpu')


def load_state_dict(model, path, tmp_path):
    model.load_state_dict(torch.load(path), strict=False)


@pytest.mark.parametrize(
    'load',
    [
        init_cfg,
        init_cfg_with_prefix,
        load_from,
        runner_load_checkpoint,
        mmengine_load_checkpoint,
        load_state_dict,
    ],
)
def test_weights_warm_start_whichever_way_they_come(load, tmp_path):
    base, model = plain().eval(), bridged().eval()
    base = plain()
    base.eval()
    torch.save(base.state_dict(), tmp_path / 'plain.pth')
    load(model, tmp_path / 'plain.pth', tmp_path)
    model.eval()
    with torch.no_grad():
        assert torch.equal(model(images())[-1], base(images())[-1])


def test_the_callers_dict_is_unchanged():
    given = plain().state_dict()
    before = {name: value.clone() for name, value in given.items()}
    bridged().load_state_dict(given, strict=False)
    assert given.keys() == before.keys()
    assert all(torch.equal(given[name], before[name]) for name in before)


def test_loading_twice_changes_nothing_more():
    model, given = bridged(), plain().state_dict()
    model.load_state_dict(given, strict=False)
    once = {name: v.clone() for name, v in model.state_dict().items()}
    model.load_state_dict(given, strict=False)
    for name, value in model.state_dict().items():
        assert torch.equal(value, once[name]), name


def test_own_weights_are_loaded_as_they_are():
    source, model = bridged(), bridged(warm_start=True)
    trained(source, 3)
    report = model.coverage(source.state_dict())
    model.load_state_dict(source.state_dict())
    assert (report.attention_loaded, report.warm_started) == (8, 0)
    for name, value in model.state_dict().items():
        assert torch.equal(value, source.state_dict()[name]), name


def test_warm_start_can_be_turned_off(caplog):
    model, given = bridged(warm_start=False), plain().state_dict()
    before = {name: v.clone() for name, v in model.state_dict().items()}
    result = model.load_state_dict(given, strict=False)
    assert any('.attention.' in name for name in result.missing_keys)
    for name, value in model.state_dict().items():
        source = before if '.attention.' in name else given
        assert torch.equal(value, source[name]), name
    report = model.coverage(given)
    assert report.attention_initial == 8 and not report.clean
    assert 'attention of blocks: 8 left at its initial values' in str(report)


def test_one_block_alone_warm_starts_too():
    block, base = bridged().layer2[0], plain().layer2[0]
    block.load_state_dict(base.state_dict(), strict=False)
    x = images()[:, :1].repeat(1, 16, 1, 1)
    assert torch.equal(block.eval()(x), base.eval()(x))


@MODELS.register_module()
class OpenGate(nn.Module):
    """A user's own attention, which knows nothing of a warm start."""

    def __init__(self, in_channels, channels, norm_cfg):
        super().__init__()
        self.gate = nn.Parameter(torch.ones(channels))

    def forward(self, pooled):
        return self.gate[:, None, None].expand(len(pooled[0]), -1, -1, -1)


def test_foreign_attention_keeps_its_values():
    base, model = (
        plain(),
        BAResNet(18, attention=dict(type='OpenGate'), **NARROW),
    )
    assert model.coverage(base.state_dict()).attention_initial == 8
    model.load_state_dict(base.state_dict(), strict=False)
    base.eval()
    assert torch.equal(model.eval()(images())[-1], base(images())[-1])


def test_gate_that_cannot_be_neutral_is_refused():
    model = bridged(attention=dict(V2, gate_cfg=dict(type='Tanh')))
    with pytest.raises(ValueError, match='no warm start is possible'):
        model.load_state_dict(plain().state_dict(), strict=False)


# Other libraries' names


@pytest.mark.parametrize('dilated', [False, True])
@pytest.mark.parametrize(
    'theirs,ours',
    [
        (SegResNetV1c, BAResNetV1c),
        (SegResNetV1d, BAResNetV1d),
        (DetResNetV1d, BAResNetV1d),
    ],
)
def test_deep_stems_of_mmdet_and_mmseg_load_exactly(theirs, ours, dilated):
    kwargs = dict(depth=50, strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4))
    kwargs = kwargs if dilated else dict(depth=50)
    base = trained(theirs(**NARROW, **kwargs))
    model = ours(**NARROW, **kwargs, attention=V2).eval()
    model.load_state_dict(base.state_dict(), strict=True)
    base.eval()
    with torch.no_grad():
        assert torch.equal(model(images())[-1], base(images())[-1])


@pytest.mark.parametrize('theirs', [SegResNetV1c, ResNetV1c])
def test_group_norms_of_deep_stems_load(theirs):
    """mmseg numbers them, mmpretrain calls them gn."""
    norm = dict(type='GN', num_groups=4)
    base = trained(theirs(depth=50, norm_cfg=norm, **NARROW))
    base.eval()
    model = bridged(50, BAResNetV1c, dict(V2, **LN), norm_cfg=norm).eval()
    report = model.coverage(base.state_dict())
    assert report.loaded == report.expected and not report.unexpected
    model.load_state_dict(base.state_dict(), strict=False)
    with torch.no_grad():
        assert torch.equal(model(images())[-1], base(images())[-1])


def test_dilated_shortcuts_load_into_strided_ones_and_back():
    """The same weights, but mmpretrain numbers them by the stride."""
    dilated = dict(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4))
    strided = bridged(50, BAResNetV1d)
    other = bridged(50, BAResNetV1d, **dilated)
    trained(strided, 3)
    other.load_state_dict(strided.state_dict())
    back = bridged(50, BAResNetV1d)
    back.load_state_dict(other.state_dict())
    for name, value in back.state_dict().items():
        assert torch.equal(value, strided.state_dict()[name]), name


def test_mmpretrains_names_load_into_deep_stems():
    base, model = plain(50, ResNetV1d), bridged(50, BAResNetV1d)
    report = model.coverage(base.state_dict())
    assert report.loaded == report.expected and not report.unexpected


# The report


def loading_log(caplog, model, state_dict):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    caplog.clear()
    model.load_state_dict(state_dict, strict=False)
    logger.removeHandler(caplog.handler)
    return [r for r in caplog.records if 'tensors loaded' in r.getMessage()]


def test_each_load_is_logged_once(caplog):
    (record,) = loading_log(caplog, bridged(), plain().state_dict())
    assert record.levelname == 'INFO'
    assert record.getMessage() == (
        'BAResNet: 100 of 100 tensors loaded; attention of blocks: 8 '
        'warm-started (exactly the plain block)'
    )


def test_report_names_what_is_missing_and_what_is_not_used(caplog):
    given = plain().state_dict()
    given['fc.weight'] = given.pop('conv1.weight')
    (record,) = loading_log(caplog, bridged(), given)
    assert record.levelname == 'WARNING'
    assert 'missing: conv1.weight' in record.getMessage()
    assert 'unexpected: fc.weight' in record.getMessage()


def test_report_warns_of_nan(caplog):
    given = plain().state_dict()
    given['layer3.0.conv1.weight'][0, 0, 0, 0] = float('nan')
    (record,) = loading_log(caplog, bridged(), given)
    assert record.levelname == 'WARNING'
    assert 'not finite: layer3.0.conv1.weight' in record.getMessage()


def test_report_names_another_shape_of_the_stem(tmp_path, caplog):
    """Grey images: upstream's loader skips the tensor."""
    model, given = bridged(in_channels=1), plain().state_dict()
    report = model.coverage(given)
    assert report.mismatched == (
        'conv1.weight (16, 3, 7, 7), the model has (16, 1, 7, 7)',
    )
    assert (report.loaded, report.expected) == (99, 100)


def test_attention_that_a_plain_network_drops_is_a_warning(caplog):
    given = bridged().state_dict()
    (record,) = loading_log(caplog, bridged(attention=None), given)
    assert record.levelname == 'WARNING'
    assert 'unexpected: layer1.0.attention.' in record.getMessage()


def test_fewer_stages_take_their_part_of_the_weights():
    three = dict(strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2,))
    model = bridged(50, num_stages=3, **three)
    report = model.coverage(plain(50).state_dict())
    assert report.loaded == report.expected


def without_one_attention():
    return {
        name: value
        for name, value in bridged().state_dict().items()
        if not name.startswith('layer2.1.attention.')
    }


def under(prefix, state_dict):
    return {prefix + name: value for name, value in state_dict.items()}


@pytest.mark.parametrize(
    'make,state_dict,messages',
    [
        (
            bridged,
            lambda: {},
            ['not one tensor', 'the weights have: nothing', "prefix='backb"],
        ),
        (
            bridged,
            lambda: under('backbone.', plain().state_dict()),
            [
                'not one tensor',
                'the model has: layer1.0.conv1.weight',
                'the weights have: backbone.layer1.0.conv1.weight',
                "prefix='backbone.'",
            ],
        ),
        (
            bridged,
            lambda: {'net': plain().state_dict(), 'epoch': 3},
            ['not one tensor', 'tools/convert_checkpoint.py'],
        ),
        (
            bridged,
            lambda: dict(list(plain().state_dict().items())[:6]),
            ['hold only 5 of its 100 tensors', "prefix='backbone.'"],
        ),
        (
            lambda: bridged(101),
            lambda: plain(50).state_dict(),
            ['another depth: they lack layer3.10, layer3.11, .* 13 more'],
        ),
        (
            bridged,
            lambda: plain(34).state_dict(),
            ['another depth: the model lacks layer1.2, layer2.2'],
        ),
        (
            lambda: bridged(50),
            lambda: plain(34).state_dict(),
            [r'layer1.0.conv1.weight has shape .*another width, depth'],
        ),
        (
            bridged,
            lambda: plain(base_channels=32, stem_channels=32).state_dict(),
            [r'layer1.0.conv1.weight has shape \(32, 32, 3, 3\) in them'],
        ),
        (
            lambda: bridged(50, BAResNeXt, groups=4),
            lambda: plain(50).state_dict(),
            ['layer1.0.conv2.weight has shape'],
        ),
        (
            lambda: bridged(attention=dict(V2, **LN), **GN),
            lambda: plain().state_dict(),
            ['block layer1.0 is of another kind, they lack layer1.0.gn1.w'],
        ),
        (
            bridged,
            lambda: bridged(attention=V1).state_dict(),
            ['It is that of BridgeAttentionV1', 'norms.0.weight'],
        ),
        (
            lambda: bridged(attention=V1),
            lambda: bridged().state_dict(),
            [
                'It is that of BridgeAttentionV2',
                'the model alone has: .*norms',
            ],
        ),
        (
            lambda: bridged(attention=dict(V2, **LN)),
            lambda: bridged().state_dict(),
            ['They alone have: layer1.0.attention.norm.running_mean'],
        ),
        (
            lambda: bridged(attention=dict(V2, ratio=8)),
            lambda: bridged().state_dict(),
            [r'layer1.0.attention.generation.weight has shape .*ratio'],
        ),
        (
            bridged,
            without_one_attention,
            ['attention of 7 blocks but not that of 1: layer2.1'],
        ),
    ],
)
@pytest.mark.parametrize('strict', [False, True])
def test_weights_of_another_network_are_refused(
    make, state_dict, messages, strict
):
    """And change nothing."""
    model = make()
    before = {name: v.clone() for name, v in model.state_dict().items()}
    with pytest.raises(ValueError) as error:
        model.load_state_dict(state_dict(), strict=strict)
    for message in messages:
        assert error.match(message)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_bare_weights_in_a_whole_model_are_refused_with_the_remedy():
    """By load_from: the backbone sees only the names below its own."""
    backbone = dict(type='BAResNet', depth=18, **NARROW)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(dict(type='ImageClassifier', backbone=backbone))
    with pytest.raises(ValueError) as error:
        model.load_state_dict(plain().state_dict(), strict=False)
    for message in (
        "none of their names begins with 'backbone.'",
        'the model has: backbone.layer1.0.conv1.weight',
        'a bare backbone, which load_from does not',
    ):
        assert error.match(message)
