"""Every format is recognised and converted without changing a digit."""

import re

import pytest
import torch
import torchvision
from checkpoint_files import classifier, eccv, FORMATS, reference, timm_deep
from mmengine.registry import MODELS
from mmengine.runner import load_checkpoint
from mmpretrain.models.backbones import ResNetV1d, SEResNet
from resnets import bridged, images, NARROW, plain, relative, V1, V2
from runs import tool
from torch import nn

import banet
from banet import BAResNet, BAResNetV1d, CheckpointError
from banet.checkpoint.convert import convert
from banet.checkpoint.formats import open_checkpoint


@pytest.mark.parametrize('name', FORMATS)
def test_format_is_recognised_and_no_digit_changes(name, tmp_path):
    """All values arrive, in the same order, whatever their names were."""
    make, (label, attention) = FORMATS[name]
    raw = make()
    torch.save(raw, tmp_path / 'source.pth')
    found, path = convert(tmp_path / 'source.pth', tmp_path / 'mm.pth')
    assert label in found.format
    assert found.attention == attention
    written = torch.load(path)['state_dict']
    source = next(
        (
            raw[w]
            for w in ('model', 'state_dict', 'state_dict_ema')
            if w in raw
        ),
        raw,
    )
    assert len(written) == len(source)
    for ours, theirs in zip(written.values(), source.values(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    'attention,depth,to',
    [
        (V2, 18, 'reference'),
        (V2, 50, 'reference'),
        (V1, 18, 'reference'),
        (V1, 50, 'reference'),
        (None, 50, 'torchvision'),
    ],
)
def test_round_trips_are_bit_exact(attention, depth, to, tmp_path):
    source = classifier(attention, depth)
    source = reference(source) if to == 'reference' else source
    torch.save({'model': source}, tmp_path / 'source.pth')
    convert(tmp_path / 'source.pth', tmp_path / 'mm.pth')
    convert(tmp_path / 'mm.pth', tmp_path / 'back.pth', to)
    back = torch.load(tmp_path / 'back.pth')
    back = back['model'] if to == 'reference' else back
    assert list(back) == list(source)
    for name, value in source.items():
        assert torch.equal(back[name], value), name
        assert back[name].dtype == value.dtype


def test_eccv_names_become_those_of_the_bav2_repository(tmp_path):
    source = classifier(V1)
    torch.save(eccv(source), tmp_path / 'source.pth')
    convert(tmp_path / 'source.pth', tmp_path / 'to.pth', 'reference')
    written = torch.load(tmp_path / 'to.pth')['model']
    expected = reference(source)
    assert list(written) == list(expected)
    assert all(torch.equal(written[n], v) for n, v in expected.items())


@pytest.mark.slow
def test_torchvisions_own_network_becomes_our_classifier(tmp_path):
    """The same logits, through the command line and upstream's loader."""
    torch.manual_seed(0)
    theirs = torchvision.models.resnet18(num_classes=5).eval()
    torch.save(theirs.state_dict(), tmp_path / 'tv.pth')
    result = tool('convert_checkpoint.py', 'tv.pth', 'mm.pth', cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert re.search(r'network +ResNet\ndepth +18\n', result.stdout)
    model = MODELS.build(
        dict(
            type='ImageClassifier',
            backbone=dict(type='BAResNet', depth=18),
            neck=dict(type='GlobalAveragePooling'),
            head=dict(type='LinearClsHead', num_classes=5, in_channels=512),
        )
    ).eval()
    load_checkpoint(model, str(tmp_path / 'mm.pth'), map_location='cpu')
    with torch.no_grad():
        logits = model.head.fc(model.extract_feat(images())[-1])
        torch.testing.assert_close(logits, theirs(images()))


def test_timms_deep_stem_computes_the_same_as_mmpretrains(tmp_path):
    base = plain(50, ResNetV1d)
    base.eval()
    torch.save(timm_deep(base.state_dict()), tmp_path / 'timm.pth')
    model = BAResNetV1d(50, attention=V2, **NARROW).eval()
    report = banet.load_weights(model, tmp_path / 'timm.pth')
    assert report.loaded == report.expected
    with torch.no_grad():
        assert torch.equal(model(images())[-1], base(images())[-1])


def test_safetensors_are_read(tmp_path):
    from safetensors.torch import save_file

    state_dict = classifier()
    save_file(state_dict, tmp_path / 'source.safetensors')
    found = open_checkpoint(tmp_path / 'source.safetensors')
    for name, value in found.backbone.items():
        assert torch.equal(value, state_dict[name]), name


def test_moving_average_is_taken_on_request(tmp_path):
    raw, mean = classifier(), classifier()
    mean['conv1.weight'] = mean['conv1.weight'] + 1
    source = tmp_path / 'both.pth'
    torch.save(dict(state_dict=raw, state_dict_ema=mean), source)
    for ema, expected in ((False, raw), (True, mean)):
        found = open_checkpoint(source, ema=ema).backbone['conv1.weight']
        assert torch.equal(found, expected['conv1.weight'])
    torch.save(raw, source)
    with pytest.raises(CheckpointError, match='no moving average'):
        open_checkpoint(source, ema=True)


def test_api_loads_any_format_and_returns_the_report(tmp_path):
    source = classifier(V1)
    torch.save(eccv(source), tmp_path / 'eccv.pth')
    model = BAResNet(18, attention=V1, **NARROW)
    report = banet.load_weights(model, tmp_path / 'eccv.pth')
    assert (report.loaded, report.attention_loaded) == (100, 8)
    for name, value in model.state_dict().items():
        assert torch.equal(value, source[name]), name
    with pytest.raises(TypeError, match='Linear is no backbone of banet'):
        banet.load_weights(nn.Linear(1, 1), tmp_path / 'eccv.pth')


def test_api_leaves_out_a_tensor_of_another_shape(tmp_path):
    """A network of grey images, as upstream's loader does."""
    source = bridged()
    torch.save(source.state_dict(), tmp_path / 'rgb.pth')
    model = BAResNet(18, attention=V2, in_channels=1, **NARROW)
    report = banet.load_weights(model, tmp_path / 'rgb.pth')
    assert [text.split()[0] for text in report.mismatched] == ['conv1.weight']
    assert torch.equal(model.bn1.weight, source.bn1.weight)


@pytest.mark.parametrize(
    'kind', ['EfficientChannelAttention', 'SqueezeExcitation']
)
def test_networks_of_the_rivals_are_read(kind, tmp_path):
    source = bridged(attention=dict(type=kind))
    torch.save(source.state_dict(), tmp_path / 'own.pth')
    model = BAResNet(18, attention=dict(type=kind), **NARROW)
    report = banet.load_weights(model, tmp_path / 'own.pth')
    assert report.clean and report.attention_loaded == 8
    for name, value in model.state_dict().items():
        assert torch.equal(value, source.state_dict()[name]), name
    checkpoint = open_checkpoint(tmp_path / 'own.pth')
    assert f'{kind} in 8 blocks' in checkpoint.describe()


def test_squeeze_excitation_is_read_under_its_publishers_names(tmp_path):
    theirs = plain(50, SEResNet, se_ratio=4).double()
    theirs.eval()
    whole = {f'backbone.{n}': v for n, v in theirs.state_dict().items()}
    torch.save(dict(state_dict=whole), tmp_path / 'se.pth')
    attention = dict(type='SqueezeExcitation', ratio=4)
    model = BAResNet(50, attention=attention, **NARROW).double().eval()
    assert banet.load_weights(model, tmp_path / 'se.pth').clean
    with torch.no_grad():
        x = images(torch.float64)
        assert relative(model(x)[0], theirs(x)[0]) < 1e-12
