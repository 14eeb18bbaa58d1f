"""What is frozen, by whom, and what learns all the same."""

import io

import pytest
import torch
from contract import Case, images, NETWORKS, REPLACING
from torch.nn.modules.batchnorm import _BatchNorm

from banet.bridge import build

# As many stages as leave one to learn.
FROZEN = {'mobilenet-v3': 4, 'efficientnet': 5, 'efficientnet-v2': 4}


def attentions(model):
    return [b.attention for _, b in model.blocks() if b.attention is not None]


def learning(model):
    """Names of the parameters that learn."""
    return {n for n, p in model.named_parameters() if p.requires_grad}


def frozen(name):
    return Case(name, {}).build(training=True, frozen_stages=FROZEN[name])


@pytest.mark.parametrize('name', NETWORKS)
def test_norm_eval_keeps_every_batch_norm_in_eval_mode(name):
    if name.startswith('convnext'):
        pytest.skip('mmpretrain has no norm_eval there')
    for own in NETWORKS[name][2]:
        model = Case(name, own).build(training=True, norm_eval=True)
        norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
        assert norms or name.startswith('swin')  # which has LN alone
        assert not any(norm.training for norm in norms)
        assert model.training


@pytest.mark.parametrize('name', REPLACING)
def test_attention_in_the_place_of_se_learns_in_frozen_stages(name):
    """Plain weights leave it at its initial values."""
    model = frozen(name)
    model.load_state_dict(Case(name).build().state_dict(), strict=False)
    model.train()
    for attention in attentions(model):
        assert all(p.requires_grad for p in attention.parameters())
        assert attention.training
    model.eval()
    assert not any(a.training for a in attentions(model))


@pytest.mark.parametrize('began_from_plain', [False, True])
@pytest.mark.parametrize('name', REPLACING)
def test_attention_that_was_loaded_is_frozen_with_its_stage(
    name, began_from_plain
):
    trained = Case(name, {}).build()
    if began_from_plain:
        trained.load_state_dict(Case(name).build().state_dict(), strict=False)
    model = frozen(name)
    model.load_state_dict(trained.state_dict())
    model.train()
    control = Case(name).build(training=True, frozen_stages=FROZEN[name])
    rest = {n for n in learning(model) if '.attention.' not in n}
    assert rest <= learning(control)
    first = attentions(model)[0]
    assert not any(p.requires_grad for p in first.parameters())
    assert not first.training


@pytest.mark.parametrize('name', REPLACING)
def test_resumed_training_learns_what_it_learned_before(name):
    """Whether the attention has to learn goes on in the checkpoint."""
    model = frozen(name)
    model.load_state_dict(Case(name).build().state_dict(), strict=False)
    file = io.BytesIO()
    torch.save(model.train().state_dict(), file)
    file.seek(0)
    resumed = frozen(name)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    assert learning(resumed.train()) == learning(model)


@pytest.mark.parametrize('name', REPLACING)
def test_nothing_switches_on_what_the_user_switched_off(name):
    model = frozen(name)
    for attention in attentions(model):
        attention.requires_grad_(False)
    for mode in (True, False, True):
        model.train(mode)
    assert not any(
        p.requires_grad for a in attentions(model) for p in a.parameters()
    )


def test_swins_largest_number_of_frozen_stages_is_all():
    """4, as in mmdet and mmseg, which count from 1; mmpretrain from 0."""
    own = NETWORKS['swin'][2][0]
    found = [
        learning(Case('swin', own).build(training=True, frozen_stages=n))
        for n in (3, 4)
    ]
    assert found[0] == found[1]
    model = Case('swin', own).build(frozen_stages=4)
    assert model.frozen_stages == 4
    stages = dict(model.stages.named_parameters())
    model.train()
    assert not any(p.requires_grad for p in stages.values())


def test_swin_without_attention_has_upstreams_parts_alone():
    plain, ours = Case('swin').build(), Case('swin', dict(attention=None))
    for block in ours.build().stages[0].blocks:
        control = plain.stages[0].blocks[0]
        assert type(block.attn.drop) is type(control.attn.drop)


@pytest.mark.parametrize('kind', ['GN', torch.nn.GroupNorm])
@pytest.mark.parametrize('depth', [18, 50])
def test_group_norm_of_the_backbone_leaves_layer_norm_to_the_attention(
    depth, kind, monkeypatch
):
    """32 groups, the usual number, are more than its vectors have."""
    lines = []
    monkeypatch.setattr(build, 'print_log', lambda *a, **k: lines.append(a))
    build._say_once.cache_clear()
    norm_cfg = dict(type=kind, num_groups=32)
    given = dict(norm_cfg)
    model = Case('resnet18', {}).cls(depth, norm_cfg=norm_cfg)
    norms = {type(a.norm) for a in attentions(model)}
    assert norms == {torch.nn.LayerNorm}
    assert norm_cfg == given
    assert len(lines) == 1
    assert model(images(1))[-1].isfinite().all()
