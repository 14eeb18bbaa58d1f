"""The other families folded, compiled and exported."""

import copy

import pytest
import torch
from families import attended, build, SMALL, V1, V2
from inputs import images
from torch import nn


@pytest.mark.parametrize('attention', [V1, V2])
@pytest.mark.parametrize('name', SMALL)
def test_deploy_form_equals_the_original(name, attention):
    model = build(
        name, attention=dict(ratio=4, norm_cfg=dict(type='BN'), type=attention)
    )
    model.double().eval()
    deployed = copy.deepcopy(model)
    deployed.switch_to_deploy()
    deployed.switch_to_deploy()  # changes nothing more
    x = images().double()
    with torch.no_grad():
        for a, b in zip(model(x), deployed(x), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)
    for _, block in attended(deployed):
        assert block.folded
    assert not any(
        isinstance(module, nn.modules.batchnorm._BatchNorm)
        for module in deployed.modules()
    )


@pytest.mark.slow
@pytest.mark.parametrize('name', SMALL)
def test_folded_weights_load_where_deploy_is_set_and_nowhere_else(name):
    model = build(name).eval()
    unfolded = copy.deepcopy(model.state_dict())
    model.switch_to_deploy()
    other = build(name, deploy=True).eval()
    other.load_state_dict(model.state_dict(), strict=True)
    with torch.no_grad():
        for a, b in zip(model(images()), other(images()), strict=True):
            assert torch.equal(a, b)
    with pytest.raises(ValueError, match='deploy=True'):
        build(name).load_state_dict(model.state_dict())
    with pytest.raises(ValueError, match='deploy'):
        other.load_state_dict(unfolded)
    with pytest.raises(RuntimeError, match='no norms to train'):
        other.train()(images())
