"""What the tests over drawn arguments share: how many, and what must hold."""

import copy

import torch
from families import shake_statistics
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

# The same examples in every run; no deadline, for the machine may be busy.
described = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
few = settings(described, max_examples=6)


@st.composite
def attentions(draw):
    cfg = dict(
        type=draw(st.sampled_from(['BridgeAttentionV1', 'BridgeAttentionV2'])),
        ratio=draw(st.sampled_from([2, 4, 8])),
    )
    norm = draw(st.sampled_from([None, 'BN', 'LN', 'SyncBN']))
    return dict(cfg, norm_cfg=dict(type=norm)) if norm else cfg


def build(cls, kwargs):
    torch.manual_seed(0)
    model = cls(**copy.deepcopy(kwargs))
    model.init_weights()
    return shake_statistics(model)


def check_gradients(model, x):
    outs = model.train()(x)
    sum((out * torch.randn_like(out)).mean() for out in outs).backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
        else:
            assert parameter.grad is None, name


def check_state_dict(cls, kwargs, x):
    model = build(cls, kwargs).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01)
    other = cls(**copy.deepcopy(kwargs)).eval()
    other.load_state_dict(model.state_dict(), strict=True)
    with torch.no_grad():
        for a, b in zip(model(x), other(x), strict=True):
            assert torch.equal(a, b)


def check_deploy_form(model, x):
    model.double().eval()
    deployed = copy.deepcopy(model)
    deployed.switch_to_deploy()
    x = x.double()
    with torch.no_grad():
        for a, b in zip(model(x), deployed(x), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
