"""Other libraries' and the official files' weights in the other families."""

import pytest
import torch
import torchvision
from families import build, build_plain, make, shake
from inputs import images
from mmpretrain.models import backbones

from banet import (
    BAConvNeXt,
    BAMobileNetV3,
    BARegNet,
    BASwinTransformer,
    load_weights,
)


def torchvision_model(name):
    torch.manual_seed(0)
    return shake(getattr(torchvision.models, name)(weights=None)).eval()


@pytest.mark.slow
@pytest.mark.parametrize(
    'cls,kwargs,theirs',
    [
        (BARegNet, dict(arch='regnetx_800mf'), 'regnet_x_800mf'),
        (BAConvNeXt, dict(arch='tiny'), 'convnext_tiny'),
        (BASwinTransformer, dict(arch='tiny'), 'swin_t'),
        (
            BAMobileNetV3,
            dict(arch='small', attention=None),
            'mobilenet_v3_small',
        ),
        (
            BAMobileNetV3,
            dict(arch='large', attention=None),
            'mobilenet_v3_large',
        ),
    ],
)
def test_torchvisions_weights_load_and_compute_the_same(cls, kwargs, theirs):
    source, model = torchvision_model(theirs), cls(**kwargs).eval()
    report = model.coverage(source.state_dict())
    assert report.loaded == report.expected
    model.load_state_dict(source.state_dict(), strict=False)
    x = images(1, 224)
    with torch.no_grad():
        if theirs == 'swin_t':
            expected = source.norm(source.features(x)).movedim(3, 1)
        elif theirs == 'convnext_tiny':
            expected = source.classifier[0](
                source.avgpool(source.features(x))
            ).flatten(1)
        elif theirs == 'regnet_x_800mf':
            expected = source.trunk_output(source.stem(x))
        else:
            expected = source.features(x)
        found = model(x)[-1]
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def official_names(state_dict, kind):
    """The official code's names for mmpretrain's own."""
    table = dict(
        convnext=(
            ('depthwise_conv', 'dwconv'),
            ('pointwise_conv', 'pwconv'),
            ('norm3.', 'norm.'),
        ),
        swin=(
            ('patch_embed.projection', 'patch_embed.proj'),
            ('stages.', 'layers.'),
            ('.attn.w_msa.', '.attn.'),
            ('.ffn.layers.0.0.', '.mlp.fc1.'),
            ('.ffn.layers.1.', '.mlp.fc2.'),
            ('norm3.', 'norm.'),
        ),
    )[kind]
    renamed = {}
    for name, value in state_dict.items():
        for ours, theirs in table:
            name = name.replace(ours, theirs)
        if kind == 'swin' and '.downsample.' in name:
            # Channel, row, column -> column, row, channel.
            *rest, width = value.shape
            value = value.reshape(*rest, width // 4, 2, 2)
            value = value.transpose(-1, -3).reshape(*rest, width)
        renamed[name] = value
    return renamed


@pytest.mark.parametrize('name', ['convnext', 'swin'])
def test_official_names_and_order_load(name):
    plain, model = build_plain(name), build(name)
    plain.eval(), model.eval()
    given = official_names(plain.state_dict(), name)
    if name == 'swin':
        given['layers.0.blocks.1.attn_mask'] = torch.zeros(4)
    model.load_state_dict(given, strict=False)
    assert model.coverage(given).clean
    with torch.no_grad():
        for a, b in zip(model(images()), plain(images()), strict=True):
            assert torch.equal(a, b)


def test_official_file_is_loaded_whichever_way_it_comes(tmp_path):
    """As it is on its host: wrapped, and named as in the official code."""
    plain = build_plain('swin')
    plain.eval()
    path = tmp_path / 'swin.pth'
    weights = official_names(plain.state_dict(), 'swin')
    torch.save({'model': weights}, path)
    by_config = make(
        'swin', init_cfg=dict(type='Pretrained', checkpoint=str(path))
    )
    by_config.init_weights()
    by_function = make('swin')
    assert load_weights(by_function, path).clean
    with torch.no_grad():
        expected = plain(images())[-1]
        for model in (by_config, by_function):
            assert torch.equal(model.eval()(images())[-1], expected)


def test_whole_model_of_mmpretrain_gives_its_backbone(tmp_path):
    plain, model = build_plain('mobilenet-large'), make('mobilenet-large')
    weights = {f'backbone.{k}': v for k, v in plain.state_dict().items()}
    weights['head.fc.weight'] = torch.zeros(2, 2)
    torch.save({'state_dict': weights}, tmp_path / 'model.pth')
    report = load_weights(model, tmp_path / 'model.pth')
    assert report.loaded == report.expected
    assert report.unexpected == ()


def test_swin_takes_tables_of_another_window_size():
    """What is the same for all pairs stays it, what grows keeps growing."""
    given = build_plain('swin').state_dict()
    name = 'stages.0.blocks.0.attn.w_msa.relative_position_bias_table'
    other = name.replace('blocks.0', 'blocks.1')
    given[name] = torch.full((49, 1), 3.0)
    given[other] = torch.arange(49.0)[:, None]
    model = build('swin', window_size=7)
    index = model.state_dict()[name.replace('bias_table', 'index')].clone()
    model.load_state_dict(given, strict=False)
    state = model.state_dict()
    torch.testing.assert_close(state[name], torch.full((169, 1), 3.0))
    grid = state[other].view(13, 13)
    assert (grid.diff(dim=0) > 0).all() and (grid.diff(dim=1) > 0).all()
    assert torch.equal(state[name.replace('bias_table', 'index')], index)
    assert model.eval()(images())[-1].isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize(
    'weights,model,message',
    [
        ('tiny', 'small', 'another depth: (the model lacks|they lack)'),
        ('small', 'base', 'has shape .* another width'),
    ],
)
@pytest.mark.parametrize(
    'cls,plain',
    [
        (BAConvNeXt, backbones.ConvNeXt),
        (BASwinTransformer, backbones.SwinTransformer),
    ],
)
def test_weights_of_another_arch_are_refused(
    cls, plain, weights, model, message
):
    """Also where they hold all that frozen stages leave to be trained."""
    given = plain(arch=weights).state_dict()
    for frozen in ({}, dict(frozen_stages=3 if cls is BAConvNeXt else 2)):
        with pytest.raises(ValueError, match=message):
            cls(arch=model, **frozen).load_state_dict(given)
