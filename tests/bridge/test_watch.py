"""Who looks at a layer's calls is noticed, however he does it."""

import functools

import pytest
import torch
from torch import nn
from torch.nn.modules import module as torch_module

from banet.bridge.watch import is_unwatched


def test_a_layer_by_itself_is_unwatched():
    assert is_unwatched(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2))


@pytest.mark.parametrize(
    'watch',
    [
        lambda layer: layer.register_forward_hook(lambda *args: None),
        lambda layer: layer.register_forward_pre_hook(lambda *args: None),
        lambda layer: layer.register_full_backward_hook(lambda *args: None),
        lambda layer: layer.register_full_backward_pre_hook(
            lambda *args: None
        ),
        lambda layer: setattr(layer, 'forward', lambda x: x),
    ],
    ids=['forward', 'before it', 'backward', 'before that', 'patched'],
)
def test_hooks_and_patches_are_noticed_on_any_of_the_layers(watch):
    layers = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)
    watch(layers[1])
    assert not is_unwatched(*layers)


@pytest.mark.parametrize(
    'register',
    [
        torch_module.register_module_forward_hook,
        torch_module.register_module_forward_pre_hook,
        torch_module.register_module_full_backward_hook,
    ],
)
def test_global_hooks_are_noticed(register):
    handle = register(lambda *args: None)
    try:
        assert not is_unwatched(nn.Identity())
    finally:
        handle.remove()
    assert is_unwatched(nn.Identity())


@pytest.mark.parametrize('wraps', [True, False])
def test_patched_classes_are_noticed(wraps, monkeypatch):
    own = nn.BatchNorm2d.forward

    def forward(self, x):
        return own(self, x)

    if wraps:
        forward = functools.wraps(own)(forward)
    monkeypatch.setattr(nn.modules.batchnorm._BatchNorm, 'forward', forward)
    assert not is_unwatched(nn.BatchNorm2d(2))
    assert torch.equal(
        nn.BatchNorm2d(2).eval()(torch.ones(1, 2, 1, 1)).sum().round(),
        torch.tensor(2.0),
    )
