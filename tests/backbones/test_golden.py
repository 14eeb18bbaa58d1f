"""What the authors' reference models compute, to 1e-9 in float64.

Their weights come in as a user's would: a file in the authors' format, through
tools/convert_checkpoint.py, into mmpretrain's classifier.
"""

import json

import pytest
import torch
from golden import fill
from mmengine.registry import init_default_scope, MODELS
from runs import ROOT, tool

from banet.backbones import names

GOLDEN = ROOT / 'tests' / 'golden'
# file -> (depth, attention, what the authors' scripts wrap the weights in)
FORMATS = {
    'ba_resnet18_v1': (18, 'BridgeAttentionV1', lambda w: {'model': w}),
    'ba_resnet34_v1_eccv': (
        34,
        'BridgeAttentionV1',
        lambda w: {'state_dict': {f'module.{n}': v for n, v in w.items()}},
    ),
    'ba_resnet50_v2': (
        50,
        'BridgeAttentionV2',
        lambda w: {'model': w, 'epoch': 299, 'max_accuracy': 80.49},
    ),
}


@pytest.fixture(
    scope='module',
    params=[
        pytest.param(name, marks=() if depth == 18 else pytest.mark.slow)
        for name, (depth, *_) in FORMATS.items()
    ],
)
def case(request, tmp_path_factory):
    """The golden numbers, the model with the golden weights, the names."""
    golden = json.loads((GOLDEN / f'{request.param}.json').read_text())
    depth, attention, wrap = FORMATS[request.param]
    shapes = golden['shapes']
    folder = tmp_path_factory.mktemp(request.param)
    weights = {
        name: torch.from_numpy(value)
        for name, value in fill.state_dict(shapes).items()
    }
    torch.save(wrap(weights), folder / 'source.pth')
    files = 'source.pth', 'mm.pth'
    result = tool('convert_checkpoint.py', *files, cwd=folder)
    assert result.returncode == 0, result.stderr
    assert f'{attention} in {8 if depth == 18 else 16} blocks' in result.stdout
    init_default_scope('mmpretrain')
    classes, width = shapes['fc.weight']
    model = MODELS.build(
        dict(
            type='ImageClassifier',
            backbone=dict(
                type='BAResNet', depth=depth, attention=dict(type=attention)
            ),
            neck=dict(type='GlobalAveragePooling'),
            head=dict(
                type='LinearClsHead', num_classes=classes, in_channels=width
            ),
        )
    ).double()
    model.load_state_dict(torch.load(folder / 'mm.pth')['state_dict'])
    ours = {
        theirs: f'head.{name}'
        if name.startswith('fc.')
        else f'backbone.{name}'
        for theirs, name in names.to_ours(shapes).items()
    }
    return golden, model, ours


def relative_error(value, expected):
    expected = torch.tensor(expected, dtype=torch.float64)
    return ((value - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize('mode', ['eval', 'train'])
def test_outputs_equal_the_reference(case, mode):
    golden, model, _ = case
    x = torch.from_numpy(fill.images(*golden['input_shape']))
    state = {k: v.clone() for k, v in model.state_dict().items()}
    with torch.no_grad():
        logits = model.train(mode == 'train')(x, mode='tensor')
    model.load_state_dict(state)  # running statistics as before
    expected = torch.tensor(golden[mode])
    assert relative_error(logits[:, : expected.shape[1]], golden[mode]) < 1e-9
    assert relative_error(logits.norm(), golden[f'{mode}_norm']) < 1e-9


def test_gradient_norms_equal_the_reference(case):
    golden, model, ours = case
    x = torch.from_numpy(fill.images(*golden['input_shape']))
    model.train().zero_grad()
    model(x, mode='tensor').square().mean().backward()
    parameters = dict(model.named_parameters())
    largest = max(golden['grad_norm_of_mean_square_logits'].values())
    for name, expected in golden['grad_norm_of_mean_square_logits'].items():
        found = parameters[ours[name]].grad.norm().item()
        # Behind a batch norm the bias b has no gradient: round-off there.
        assert found == pytest.approx(
            expected, rel=1e-9, abs=1e-12 * largest
        ), name
