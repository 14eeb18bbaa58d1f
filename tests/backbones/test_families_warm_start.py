"""The plain networks' weights in the other families."""

import copy

import pytest
import torch
from families import attended, build, build_plain, EXACT, make, REPLACED, SMALL
from inputs import images


@pytest.mark.parametrize('name', SMALL)
def test_without_attention_it_is_the_plain_network(name):
    plain, model = build_plain(name), build(name, attention=None)
    model.load_state_dict(plain.state_dict(), strict=True)
    for training in (False, True):
        plain.train(training), model.train(training)
        x = images()
        for a, b in zip(model(x), plain(x), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize('training', [False, True])
@pytest.mark.parametrize('name', EXACT)
def test_warm_started_network_is_the_plain_one(name, training):
    plain, model = build_plain(name), build(name)
    before = copy.deepcopy(plain.state_dict())
    model.load_state_dict(plain.state_dict(), strict=False)
    plain.train(training), model.train(training)
    with torch.no_grad():
        for a, b in zip(model(images()), plain(images()), strict=True):
            if training and name == 'regnet':  # other operations, as ResNet
                torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
            else:
                assert torch.equal(a, b)
    report = model.coverage(before)
    assert report.warm_started == len(attended(model))
    assert report.clean
    for key, value in plain.state_dict().items():
        if not training:
            assert torch.equal(value, before[key])  # the caller's own


@pytest.mark.parametrize('name', EXACT)
def test_warm_start_is_exact_under_autocast_too(name):
    plain, model = build_plain(name), build(name)
    model.load_state_dict(plain.state_dict(), strict=False)
    plain.eval(), model.eval()
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        for a, b in zip(model(images()), plain(images()), strict=True):
            assert a.dtype == b.dtype
            assert torch.equal(a, b)


@pytest.mark.parametrize('name', REPLACED)
def test_replaced_squeeze_and_excitation_is_reported_and_not_pretended(name):
    plain, model = build_plain(name), build(name)
    kept = {
        key: value.clone()
        for key, value in model.state_dict().items()
        if '.attention.' in key
    }
    report = model.coverage(plain.state_dict())
    blocks = [name for name, _ in attended(model)]
    assert report.replaced == tuple(f'{block}.se' for block in blocks)
    assert report.attention_initial == len(blocks)
    assert (report.loaded, report.unexpected) == (report.expected, ())
    assert 'dropped, replaced by bridge attention: ' in str(report)
    model.load_state_dict(plain.state_dict(), strict=False)
    state = model.state_dict()
    assert all(torch.equal(state[key], kept[key]) for key in kept)
    for key, value in plain.state_dict().items():
        if key in state:
            assert torch.equal(state[key], value), key


@pytest.mark.parametrize('name', ['convnext', 'swin'])
def test_list_of_initialisations_ends_with_the_weights(name, tmp_path):
    plain = build_plain(name)
    plain.eval()
    torch.save(plain.state_dict(), tmp_path / 'plain.pth')
    pretrained = dict(
        type='Pretrained', checkpoint=str(tmp_path / 'plain.pth')
    )
    other = dict(type='TruncNormal', layer='Linear', std=0.02)
    model = make(name, init_cfg=[other, pretrained])
    model.init_weights()
    with torch.no_grad():
        for a, b in zip(model.eval()(images()), plain(images()), strict=True):
            assert torch.equal(a, b)
