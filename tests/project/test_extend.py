"""The guides to a new family and a new attention hold what they say."""

import re
import sys
from types import ModuleType

import pytest
import torch
from guides import (
    BLOCK,
    commands,
    GUIDES,
    make_clone,
    shell,
    steps,
    write_files,
)
from mmengine.registry import MODELS
from runs import ROOT

from banet import BAResNet
from banet.apis.config import load_config
from banet.apis.model import build_model


@pytest.fixture
def load(monkeypatch):
    """Run a guide's file as a module; nothing of it outlives the test."""
    monkeypatch.setattr(MODELS, '_module_dict', dict(MODELS.module_dict))

    def run(path, old='', new=''):
        code = path.read_text()
        assert old in code
        # What an earlier version of the file registered.
        for name in re.findall(r'^class (\w+)', code, re.M):
            MODELS.module_dict.pop(name, None)
        module = ModuleType(path.stem)
        monkeypatch.setitem(sys.modules, path.stem, module)
        exec(compile(code.replace(old, new), path, 'exec'), vars(module))
        return module

    return run


def test_every_block_of_a_guide_is_a_file_or_a_command():
    assert set(GUIDES) == {
        'README',
        'new_family',
        'new_attention',
        'new_config',
    }
    for guide, text in GUIDES.items():
        blocks = [code for kind, code in BLOCK.findall(text) if kind != 'bash']
        assert blocks == [code for _, _, code in steps(guide)], guide


def test_guides_name_files_and_tests_that_there_are():
    code = '\n'.join(p.read_text() for p in ROOT.glob('tests/**/*.py'))
    for guide, text in GUIDES.items():
        for name in re.findall(r'`(test_\w+)`', text):
            assert f'def {name}(' in code, f'{guide}: {name}'
        new = {path for _, path, _ in steps(guide)}
        for path in re.findall(r'`((?:projects|tests|configs)/\S+)`', text):
            assert path in new or any(ROOT.glob(path)), f'{guide}: {path}'


# A new family.


@pytest.fixture(scope='module')
def family(tmp_path_factory):
    folder = make_clone(tmp_path_factory.mktemp('family'))
    write_files('new_family', folder)
    return folder


@pytest.mark.slow
def test_familys_commands_run(family):
    counted, tested = (shell(c, family) for c in commands('new_family'))
    # More than mobilenet_v2 of torchvision has.
    total = re.search(r'^total +([\d,]+)', counted, re.M)[1]
    total = int(total.replace(',', ''))
    assert total > 3_504_872
    assert re.search(r'\b7 passed', tested)


PLAIN = 'test_plain_weights_give_the_plain_network'


@pytest.mark.slow
@pytest.mark.parametrize(
    'old,new,test,arguments',
    [
        pytest.param(
            'x + out if self.use_res_connect else out',
            'out',
            PLAIN,
            dict(attention=None, training=True),
            id='no-shortcut',
        ),
        pytest.param(
            'len(self.conv) - 1',
            '0',
            PLAIN,
            dict(attention='default', training=False),
            id='another-layer-doubled',
        ),
        pytest.param(
            'self._gate(pooled, out)',
            'self._gate(pooled, out) * 0.999',
            PLAIN,
            dict(attention='default', training=True),
            id='another-gate',
        ),
        pytest.param(
            'pooled.append(spatial_mean(out))',
            'pooled.append(0 * spatial_mean(out))',
            'test_every_part_of_the_attention_learns',
            {},
            id='nothing-pooled',
        ),
        pytest.param(
            "'conv2.'",
            "'conv3.'",
            'test_torchvisions_weights_give_its_features',
            {},
            id='a-wrong-name',
        ),
        pytest.param(
            'out = out * self._gate(pooled, out)',
            'out = out * (self._gate(pooled, out) + self.deploy)',
            'test_deploy_form_computes_the_same',
            {},
            id='another-deploy-form',
        ),
    ],
)
def test_a_broken_family_fails_in_its_own_tests(
    old, new, test, arguments, family, load
):
    path = family / 'my_family.py'
    load(path)
    torch.manual_seed(0)
    load(family / 'test_my_family.py').__dict__[test](**arguments)
    load(path, old, new)
    broken = load(family / 'test_my_family.py')
    with pytest.raises(AssertionError):
        broken.__dict__[test](**arguments)


def test_family_freezes_its_attention_with_its_stages(family, load):
    cls = load(family / 'my_family.py').BAMobileNetV2
    model = cls(frozen_stages=2, out_indices=(1, 2, 4, 6)).train()
    for name, parameter in model.named_parameters():
        frozen = name.startswith(('conv1.', 'layer1.', 'layer2.'))
        assert parameter.requires_grad != frozen, name
    widths = [out.shape[1] for out in model(torch.randn(2, 3, 64, 64))]
    assert widths == [24, 32, 96, 320]


# An attention.


@pytest.fixture(scope='module')
def attention(tmp_path_factory):
    folder = make_clone(tmp_path_factory.mktemp('attention'))
    write_files('new_attention', folder)
    return folder


@pytest.mark.slow
def test_attention_learns_in_two_iterations_of_a_real_training(
    attention, load
):
    """From known weights, so that all that changed was trained."""
    load(attention / 'my_attention.py')
    model = build_model(load_config(str(attention / 'my_digits.py')))
    before = model.state_dict()
    torch.save(dict(state_dict=before), attention / 'start.pth')
    data, training, testing = commands('new_attention')
    shell(data, attention)
    log = shell(f'{training} load_from=start.pth', attention)
    # Two iterations, as the guide says.
    saved = torch.load(
        attention / 'work_dirs/my_digits/epoch_1.pth', weights_only=False
    )
    assert saved['meta']['iter'] == 2, log[-3000:]
    after = saved['state_dict']
    names = [name for name, _ in model.named_parameters()]
    parts = [name for name in names if '.attention.' in name]
    assert len(parts) == 8 * 4
    for name in parts:
        # More than the weight decay alone would do.
        assert (after[name] - before[name]).abs().max() > 2e-5, name
    assert re.search(r'\b5 passed', shell(testing, attention))


@pytest.mark.slow
@pytest.mark.parametrize(
    'old,new,test,arguments',
    [
        pytest.param(
            'torch.cat(pooled, 1)',
            'torch.cat([0 * pooled[0], *pooled[1:]], 1)',
            'test_every_pooled_vector_reaches_the_gate',
            {},
            id='a-vector-left-out',
        ),
        pytest.param(
            'return state, 0.5',
            'return state, 0.25',
            'test_plain_weights_start_it_exactly',
            dict(depth=18),
            id='another-neutral-gate',
        ),
        pytest.param(
            'new_zeros(',
            'new_ones(',
            'test_deploy_form_computes_the_same',
            dict(depth=18),
            id='another-bias',
        ),
        pytest.param(
            'def linear_terms',
            'def another_name',
            'test_deploy_form_computes_the_same',
            dict(depth=18),
            id='no-linear-terms',
        ),
    ],
)
def test_a_broken_attention_fails_in_its_own_tests(
    old, new, test, arguments, attention, load
):
    path = attention / 'my_attention.py'
    load(path)
    load(attention / 'test_my_attention.py').__dict__[test](**arguments)
    load(path, old, new)
    broken = load(attention / 'test_my_attention.py')
    with pytest.raises(AssertionError):
        broken.__dict__[test](**arguments)


def test_the_shorter_attention_starts_as_one_half_and_stays_in_deploy(
    attention, load
):
    load(attention / 'my_maximum.py')
    torch.manual_seed(0)
    images = torch.randn(4, 3, 32, 32).double()
    plain = BAResNet(18, attention=None).double().eval()
    bridged = BAResNet(18, attention=dict(type='MaximumAttention'))
    bridged.double().eval()
    before = bridged(images)[0]
    assert not torch.equal(before, plain(images)[0])
    bridged.load_state_dict(plain.state_dict(), strict=False)
    assert torch.equal(bridged(images)[0], plain(images)[0])
    bridged.train()(images)[0].square().mean().backward()
    gate = bridged.layer4[1].attention.generation.weight
    assert gate.grad.abs().max() > 0
    before = bridged.eval()(images)[0]
    bridged.switch_to_deploy()
    torch.testing.assert_close(bridged(images)[0], before)
    kinds = {type(block.attention).__name__ for _, block in bridged.blocks()}
    assert kinds == {'MaximumAttention'}
