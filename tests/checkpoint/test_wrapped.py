"""Whatever wrapped a model when it was saved, every tool finds its weights."""

import itertools

import pytest
import torch
from checkpoint_files import classifier
from mmengine.runner.checkpoint import load_checkpoint
from runs import TASKS
from safetensors.torch import save_file
from torch import nn

from banet import BAMobileNetV3, BAResNet, CheckpointError, load_weights
from banet.apis.config import load_config
from banet.apis.model import build_model, load_model
from banet.checkpoint.convert import convert
from banet.checkpoint.formats import open_checkpoint
from banet.checkpoint.weights import (
    let_mmengine_unwrap,
    unwrap,
    without_prefixes,
)

MARKS = 'module.', '_orig_mod.', 'model.', 'net.'
PREFIXES = [
    ''.join(marks)
    for count in (1, 2, 3)
    for marks in itertools.permutations(MARKS, count)
]


@pytest.fixture(scope='module')
def whole(checkpoints):
    """The state dict of a whole classifier."""
    return torch.load(checkpoints['cls'], weights_only=False)['state_dict']


@pytest.mark.parametrize('prefix', PREFIXES)
def test_prefixes_come_off_in_any_order(whole, prefix):
    found, taken = without_prefixes({prefix + n: v for n, v in whole.items()})
    assert list(found) == list(whole)
    assert sorted(taken) == sorted(f'{p}.' for p in prefix[:-1].split('.'))


@pytest.mark.parametrize('prefix', ['', 'module.', 'module.model.'])
def test_prefix_that_is_the_models_own_stays(prefix):
    """As in mmpretrain's TimmClassifier, whose network is its ``model``."""
    own = {'model.conv1.weight': 1, 'model.fc.weight': 2}
    found = {prefix + name: value for name, value in own.items()}
    assert without_prefixes(found, own.keys())[0] == own


def test_name_of_a_part_is_no_prefix():
    """Only what stands before most names is taken off, or within any."""
    found = {'model.a': 1, 'fc.b': 2, 'layer1._orig_mod.c': 3}
    assert without_prefixes(found)[0] == {
        'model.a': 1,
        'fc.b': 2,
        'layer1.c': 3,
    }


WRAPPINGS = {
    'parallel and compiled': lambda s: {
        f'module._orig_mod.{n}': v for n, v in s.items()
    },
    'a block compiled': lambda s: {
        n.replace('layer1.0.', 'layer1.0._orig_mod.'): v for n, v in s.items()
    },
    'model in model': lambda s: {'model': {'state_dict': s}},
    'Lightning': lambda s: {
        'pytorch-lightning_version': '2.4',
        'state_dict': {f'model.{n}': v for n, v in s.items()},
    },
    'Lightning with a loss': lambda s: {
        'state_dict': {
            **{f'model.{n}': v for n, v in s.items()},
            'criterion.weight': torch.ones(10),
        }
    },
    'AveragedModel': lambda s: {
        'n_averaged': torch.tensor(3),
        **{f'module.{n}': v for n, v in s.items()},
    },
    'DeepSpeed': lambda s: {'module': s, 'lr_scheduler': {'step': 3}},
    'an unknown name': lambda s: {'best_weights': s, 'meta': None},
    'a prefix of one': lambda s: {f'student.{n}': v for n, v in s.items()},
    'counted by thop': lambda s: {**s, 'backbone.total_ops': torch.zeros(1)},
    'FSDP': lambda s: {f'_fsdp_wrapped_module.{n}': v for n, v in s.items()},
    'EMAHook': lambda s: {
        'state_dict': s,
        'ema_state_dict': {f'module.{n}': 0 * v for n, v in s.items()},
    },
}


@pytest.mark.slow
@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize('name', WRAPPINGS)
def test_trainings_and_tests_take_it(
    whole, name, suffix, tmp_path, mmengines_loader
):
    """Through mmengine's own loader, which looks into few of these."""
    path = tmp_path / f'x{suffix}'
    content = WRAPPINGS[name](dict(whole))
    if suffix == '.pth':
        torch.save(content, path)
    else:
        found = without_prefixes(unwrap(content)[0])[0]
        save_file({n: v.contiguous() for n, v in found.items()}, path)
    model = build_model(load_config(str(TASKS['cls'][0])))
    let_mmengine_unwrap(model.state_dict().keys())
    load_checkpoint(model, str(path), map_location='cpu')
    for key, value in model.state_dict().items():
        assert torch.equal(value, whole[key]), key


@pytest.mark.slow
@pytest.mark.parametrize('name', WRAPPINGS)
def test_every_reader_takes_it(whole, name, tmp_path):
    path = tmp_path / 'x.pth'
    torch.save(WRAPPINGS[name](dict(whole)), path)
    config = load_config(str(TASKS['cls'][0]))
    model, _ = load_model(config, path)
    for key, value in model.state_dict().items():
        assert torch.equal(value, whole[key]), key
    report = load_weights(BAResNet(18), path)
    assert report.loaded == report.expected
    found, written = convert(path, tmp_path / 'y.pth')
    assert torch.equal(found.classifier['weight'], whole['head.fc.weight'])
    names = torch.load(written)['state_dict']
    assert len(set(names) & set(whole)) == len(whole)


@pytest.mark.parametrize('prefix', ['model.', '_orig_mod.', 'module.model.'])
def test_classifier_is_found_beside_the_backbone(prefix, tmp_path):
    state = classifier()
    torch.save({prefix + n: v for n, v in state.items()}, tmp_path / 'x.pth')
    found = open_checkpoint(tmp_path / 'x.pth')
    assert torch.equal(found.classifier['weight'], state['fc.weight'])


def test_backbones_of_any_form_are_found_below_any_prefix(tmp_path):
    for i, backbone in enumerate(
        (
            BAResNet(18, deploy=True),
            BAResNet(18, attention=dict(type='SqueezeExcitation')),
        )
    ):
        found = {
            f'detector.backbone.{n}': v + 1
            for n, v in backbone.state_dict().items()
        }
        path = tmp_path / f'{i}.pth'
        torch.save(dict(state_dict=found), path)
        report = load_weights(backbone, path)
        assert report.loaded == report.expected


def test_other_families_take_wrapped_files_too(tmp_path):
    model = BAMobileNetV3('small')
    state = {
        f'module.net.backbone.{n}': v for n, v in model.state_dict().items()
    }
    torch.save(state, tmp_path / 'x.pth')
    report = load_weights(BAMobileNetV3('small'), tmp_path / 'x.pth')
    assert report.loaded == report.expected


@pytest.mark.parametrize('reader', ['model', 'weights', 'convert'])
@pytest.mark.parametrize(
    'content,kind',
    [(lambda: [torch.ones(2)], 'list'), (lambda: nn.Linear(2, 2), 'Linear')],
)
def test_what_is_no_state_dict_is_named(content, kind, reader, tmp_path):
    path = tmp_path / 'x.pth'
    torch.save(content(), path)
    read = dict(
        model=lambda: load_model(
            load_config(str(TASKS['cls'][0])), path, True
        ),
        weights=lambda: load_weights(BAResNet(18), path, True),
        convert=lambda: convert(path, tmp_path / 'y.pth', trust=True),
    )[reader]
    with pytest.raises(
        CheckpointError, match=f'it holds a {kind}, not a dict'
    ):
        read()


def test_average_of_the_ema_hook_is_said_to_be_the_state_dict(whole, tmp_path):
    torch.save(WRAPPINGS['EMAHook'](dict(whole)), tmp_path / 'x.pth')
    with pytest.raises(CheckpointError, match='whose average is the state_di'):
        convert(tmp_path / 'x.pth', tmp_path / 'y.pth', ema=True)
