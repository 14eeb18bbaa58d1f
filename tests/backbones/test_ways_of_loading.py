"""Weights come in the same by every way, and under every name."""

import io

import pytest
import torch
from mmdet.models.backbones import ResNetV1d as DetResNetV1d
from mmengine.logging import MMLogger
from mmengine.model import PretrainedInit
from mmengine.runner import load_checkpoint, Runner
from mmpretrain.models.backbones import ResNetV1c, ResNetV1d
from mmseg.models.backbones import ResNetV1c as SegResNetV1c
from mmseg.models.backbones import ResNetV1d as SegResNetV1d
from resnets import bridged, images, LN, NARROW, plain, trained, V2
from safetensors.torch import save_file
from torch import nn

from banet import BAResNet, BAResNetV1c, BAResNetV1d


def init_cfg(model, path, tmp_path):
    model.init_cfg = dict(type='Pretrained', checkpoint=str(path))
    model.init_weights()


def init_cfg_by_its_class(model, path, tmp_path):
    model.init_cfg = dict(type=PretrainedInit, checkpoint=str(path))
    model.init_weights()


def init_cfg_by_its_path(model, path, tmp_path):
    """As mmengine writes a class into the copy of a new-style config."""
    kind = 'mmengine.model.weight_init.PretrainedInit'
    model.init_cfg = dict(type=kind, checkpoint=str(path))
    model.init_weights()


def init_cfg_among_others(model, path, tmp_path):
    drawn = dict(type='Kaiming', layer='Conv2d')
    model.init_cfg = drawn, dict(type='Pretrained', checkpoint=str(path))
    model.init_weights()


def init_cfg_of_safetensors(model, path, tmp_path):
    other = path.with_suffix('.safetensors')
    save_file(torch.load(path), other)
    model.init_cfg = dict(type='Pretrained', checkpoint=str(other))
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
        init_cfg_by_its_class,
        init_cfg_by_its_path,
        init_cfg_among_others,
        init_cfg_of_safetensors,
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


def test_fewer_stages_take_their_part_of_the_weights():
    three = dict(strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2,))
    model = bridged(50, num_stages=3, **three)
    report = model.coverage(plain(50).state_dict())
    assert report.loaded == report.expected


class Pair(nn.Module):
    """A detector twice, as wrappers for semi-supervised training hold it."""

    def __init__(self):
        super().__init__()
        self.student, self.teacher = nn.Module(), nn.Module()
        for part in (self.student, self.teacher):
            part.backbone = BAResNet(18, attention=V2, **NARROW)


def test_backbone_that_gets_nothing_beside_its_twin_is_named(tmp_path):
    state = {f'backbone.{n}': v for n, v in bridged().state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / 'x.pth')
    model = Pair()
    before = model.student.backbone.conv1.weight.clone()
    logger = MMLogger.get_instance('twins')
    lines = io.StringIO()
    logger.handlers[0].setStream(lines)
    load_checkpoint(
        model, str(tmp_path / 'x.pth'), revise_keys=[('^', 'teacher.')]
    )
    assert torch.equal(
        model.teacher.backbone.conv1.weight, state['backbone.conv1.weight']
    )
    assert torch.equal(model.student.backbone.conv1.weight, before)
    assert 'student.backbone gets no weights' in lines.getvalue()


@pytest.mark.parametrize('where', ['other', 'other.backbone'])
def test_weights_that_no_backbone_gets_are_refused_in_both(where, tmp_path):
    state = {f'{where}.{n}': v for n, v in bridged().state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / 'x.pth')
    with pytest.raises(ValueError, match='cannot take these weights'):
        load_checkpoint(Pair(), str(tmp_path / 'x.pth'))
