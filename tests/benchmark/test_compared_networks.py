"""The networks that are compared are what their names say."""

from argparse import Namespace

import pytest
import torch
from inputs import supports
from mmpretrain.models.backbones import SEResNet
from runs import DET, ROOT
from torch import nn

from banet.benchmark import BenchmarkError, NETWORKS
from banet.benchmark.networks import build
from banet.benchmark.timing import _agree, saved_activations
from banet.benchmark.work import draw, step


def whole(config, mode='train'):
    """Options as the tool's, for what stands in ``config``."""
    return Namespace(
        config=str(config),
        mode=mode,
        dtype='fp32',
        device='cpu',
        channels_last=False,
        runtime='eager',
    )


def test_squeeze_excite_takes_the_backbones_place_in_a_config():
    name = 'fcn_ba-r50-d8_4xb4-80k_ade20k-512x512.py'
    model = build('se', whole(ROOT / 'configs/segmentation' / name))
    assert type(model.backbone) is SEResNet
    assert model.backbone.dilations == (1, 1, 2, 4)


@pytest.mark.slow
@pytest.mark.parametrize(
    'config,ratio,norm',
    [
        ('ba-mobilenet-v3-small_8xb128_in1k', 6, 'BatchNorm1d'),
        ('ba-efficientnet-b0_8xb32_in1k', 6, 'BatchNorm1d'),
        ('ba-regnetx-4.0gf_8xb64_in1k', 16, 'BatchNorm1d'),
        ('ba-convnext-tiny_32xb128_in1k', 16, 'LayerNorm'),
        ('ba-swin-tiny_16xb64_in1k', 16, 'LayerNorm'),
    ],
)
def test_other_families_are_compared_with_their_own_attention(
    config, ratio, norm
):
    args = whole(ROOT / f'configs/classification/{config}.py', 'infer')
    for name, kind in (
        ('plain', None),
        ('bav1', 'BridgeAttentionV1'),
        ('bav2', 'BridgeAttentionV2'),
    ):
        blocks = [b for _, b in build(name, args).backbone.blocks()]
        found = [b.attention for b in blocks if b.attention is not None]
        assert {type(a).__name__ for a in found} == ({kind} if kind else set())
        for attention in found:
            assert attention.hidden_channels == attention.channels // ratio
            last = (
                attention.norms[0]
                if kind == 'BridgeAttentionV1'
                else attention.norm
            )
            assert type(last).__name__ == norm


def test_network_that_has_no_place_in_a_config_is_not_taken_for_bav2(
    monkeypatch,
):
    """As one that somebody added for backbones alone."""
    monkeypatch.setitem(NETWORKS, 'mine', NETWORKS['eca'])
    with pytest.raises(BenchmarkError, match='no model mine in the place of'):
        build('mine', whole(DET))


def test_step_of_a_whole_model_is_its_own_loss():
    """A detector's random objects reach its heads: boxes, labels, masks."""
    args = whole(DET)
    model = build('bav2', args)
    x = draw(args, 2, (64, 64))
    step(model, args, x)(x)
    still = [n for n, p in model.named_parameters() if p.grad is None]
    assert not still
    head = 'roi_head.mask_head.conv_logits.weight'
    assert dict(model.named_parameters())[head].grad.abs().max() > 0


def test_second_stage_sees_the_same_boxes_whatever_the_weights():
    """So that the network is timed and not what its proposals happen to be."""
    args = whole(DET)
    seen = []
    for name in ('plain', 'bav2'):
        model, x = build(name, args), draw(args, 2, (64, 64))
        run = step(model, args, x)
        sample = model.roi_head.bbox_assigner
        sample.assign = lambda found, *rest, f=sample.assign: (
            seen.append(found.priors.clone()),
            f(found, *rest),
        )[1]
        run(x)
    assert len(seen) == 4 and seen[0].shape == (512, 4)
    assert torch.equal(seen[0], seen[2]) and torch.equal(seen[1], seen[3])


@pytest.mark.skipif(
    not supports(torch.float16), reason=f'torch {torch.__version__} has none'
)
def test_float16_trains_with_scaled_gradients():
    args = Namespace(
        **dict(vars(whole(None)), config=None, dtype='fp16', depth=18),
        norm_eval=False,
    )
    model, x = build('bav2', args), draw(args, 2, (64, 64))
    run = step(model, args, x)
    before = [p.clone() for p in model.parameters()]
    run(x)
    # A step that the scaler skips, as at inf, changes nothing.
    assert any(
        not torch.equal(a, b) for a, b in zip(before, model.parameters())
    )
    assert all(p.isfinite().all() for p in model.parameters())


def test_layout_precision_and_norms_are_as_the_options_say():
    options = dict(config=None, depth=18, dtype='bf16', channels_last=True)
    args = Namespace(**{**vars(whole(None)), **options}, norm_eval=True)
    model, x = build('bav2', args), draw(args, 2, (64, 64))
    layout = dict(memory_format=torch.channels_last)
    assert x.is_contiguous(**layout)
    assert model.layer1[0].conv1.weight.is_contiguous(**layout)
    seen = []
    model.conv1.register_forward_hook(lambda *a: seen.append(a[2].dtype))
    step(model, args, x)(x)
    assert seen == [torch.bfloat16]
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms and not any(norm.training for norm in norms)


def test_forms_that_differ_are_not_timed():
    args = Namespace(**{**vars(whole(None)), 'config': None})
    models = {n: NETWORKS[n](depth=18) for n in ('bav2', 'bav2-deploy')}
    with pytest.raises(BenchmarkError, match='this is a bug, nothing was ti'):
        _agree(models, args, torch.rand(2, 3, 64, 64))


@pytest.mark.parametrize('dtype,copies', [('fp32', 0), ('bf16', 1)])
def test_saved_memory_is_what_the_backward_pass_needs(dtype, copies):
    """A sigmoid's output; autocast's copies of the images and weights."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 1, bias=False)

        def forward(self, x):
            return (self.conv(x).sigmoid(),)

    changes = dict(config=None, dtype=dtype)
    args = Namespace(**{**vars(whole(None)), **changes})
    width = 2 if copies else 4  # bytes of a number
    kept = width * (2 * 8 * 16**2 + copies * (2 * 3 * 16**2 + 8 * 3))
    # The loss is the mean square of what float() gives, a copy, too.
    kept += copies * 4 * 2 * 8 * 16**2
    found = saved_activations(Net(), args, 2, (16, 16))
    assert found == kept / 2**20
    args.mode = 'infer'
    assert saved_activations(Net(), args, 2, (16, 16)) == 0


def test_straight_form_is_the_same_network():
    """What BAv2 is compared with computes the same, training included."""
    models = [NETWORKS[n](depth=18) for n in ('bav2', 'bav2-straight')]
    models[1].load_state_dict(
        dict(zip(models[1].state_dict(), models[0].state_dict().values()))
    )
    x = torch.rand(4, 3, 64, 64).double()
    ours, theirs = (model.double().train()(x)[-1] for model in models)
    torch.testing.assert_close(ours, theirs)
