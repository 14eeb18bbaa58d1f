"""ResNet in training: frozen, checkpointed, compiled, under autocast."""

import pytest
import torch
from inputs import images
from resnets import small
from runs import ROOT
from torch import nn


def test_train_and_eval_return_the_module():
    model = small()
    assert model.train() is model
    assert model.eval() is model


def test_norm_eval_reaches_the_attention():
    model = small(norm_eval=True).train()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d)]
    assert len(norms) == 8
    assert not any(norm.training for norm in norms)


@pytest.mark.parametrize('frozen', [-1, 0, 1, 4])
def test_frozen_stages_freeze_the_stem_and_those_stages_only(frozen):
    model = small(frozen_stages=frozen).train()
    for name, parameter in model.named_parameters():
        stage = int(name[5]) if name.startswith('layer') else 0
        assert parameter.requires_grad == (stage > frozen), name
    for i in range(1, 5):
        stage = getattr(model, f'layer{i}')
        assert stage[0].attention.norm.training == (i > frozen)


@pytest.mark.parametrize('frozen', [-1, 1])
def test_checkpointing_gives_the_same_outputs_and_gradients(frozen):
    results = []
    for with_cp in (False, True):
        model = small(50, with_cp=with_cp, frozen_stages=frozen).train()
        out = model(images(5))[-1]
        out.square().mean().backward()
        results.append(
            [out] + [p.grad for p in model.parameters() if p.requires_grad]
        )
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b)


def test_checkpointing_keeps_no_maps_between_the_blocks():
    """Fewer tensors are saved for the backward pass."""

    def saved(with_cp):
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda x: (sizes.append(x.numel()), x)[1], lambda x: x
        ):
            small(50, with_cp=with_cp)(images(5))
        return sum(sizes)

    assert saved(True) < saved(False) / 4


@pytest.mark.parametrize('depth', [18, 50])
@pytest.mark.parametrize('batch', [1, 2, 5])
def test_bfloat16_autocast_gives_finite_outputs_and_gradients(depth, batch):
    model = small(depth).train()
    with torch.autocast('cpu', torch.bfloat16):
        out = model(images(batch))[-1]
    out.float().square().mean().backward()
    assert out.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_tracing_warns_of_nothing(recwarn):
    torch.jit.trace(small().eval(), images())
    ours = [
        str(w) for w in recwarn.list if str(ROOT / 'projects') in w.filename
    ]
    assert ours == []
