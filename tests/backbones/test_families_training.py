"""A training step of the other families: gradients, freezing, autocast."""

import pytest
import torch
from families import attended, build, build_plain, SMALL, V2
from inputs import images


@pytest.mark.parametrize('name', SMALL)
def test_every_trainable_parameter_gets_a_finite_gradient(name):
    model = build(name).train()
    model(images(3))[-1].square().mean().backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name


@pytest.mark.slow
@pytest.mark.parametrize('name', SMALL)
def test_checkpointing_gives_the_same_gradients_without_warning(name, recwarn):
    results = []
    for with_cp in (False, True):
        model = build(name, with_cp=with_cp).train()
        out = model(images(3))[-1]
        out.square().mean().backward()
        results.append([out] + [p.grad for p in model.parameters()])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b)
    assert not [w for w in recwarn if 'use_reentrant' in str(w.message)]


@pytest.mark.slow
@pytest.mark.parametrize('batch', [1, 3])
@pytest.mark.parametrize('name', SMALL)
def test_bfloat16_autocast_gives_finite_outputs_and_gradients(name, batch):
    model = build(name).train()
    with torch.autocast('cpu', torch.bfloat16):
        out = model(images(batch, 96))[-1]
    out.float().square().mean().backward()
    assert out.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize('name', SMALL)
def test_freezing_reaches_the_attention_of_those_stages(name):
    model = build(name, frozen_stages=2)
    assert model.train() is model
    frozen = {
        key for key, p in model.named_parameters() if not p.requires_grad
    }
    plain = build_plain(name, frozen_stages=2)
    plain.train()
    theirs = {
        key for key, p in plain.named_parameters() if not p.requires_grad
    }
    alive = {key for key, p in plain.named_parameters() if p.requires_grad}
    assert theirs - frozen <= {k for k in theirs if '.se.' in k}
    assert not alive & frozen
    for block_name, block in attended(model):
        inside = f'{block_name}.{block.gated_layer}.weight' in frozen
        # Weights leave it at its initial values, so it has to learn.
        inside = inside and not block.replaced
        assert block.attention.training != inside
        assert all(
            p.requires_grad != inside for p in block.attention.parameters()
        )


@pytest.mark.parametrize('name', ['mobilenet-large', 'regnet', 'swin'])
def test_norm_eval_reaches_the_attention(name):
    attention = dict(type=V2, ratio=4, norm_cfg=dict(type='BN'))
    model = build(name, norm_eval=True, attention=attention).train()
    norms = [block.attention.norm for _, block in attended(model)]
    assert norms
    assert not any(norm.training for norm in norms)


@pytest.mark.parametrize('name', SMALL)
def test_what_is_frozen_is_so_before_the_training(name):
    """DDP looks once, when it wraps the model."""
    model = build(name, frozen_stages=2)
    before = {key: p.requires_grad for key, p in model.named_parameters()}
    assert not all(before.values())
    model.train()
    assert before == {
        key: p.requires_grad for key, p in model.named_parameters()
    }
