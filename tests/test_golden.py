"""What the authors' reference models compute, to 1e-9 in float64."""

import json
from pathlib import Path

import pytest
import torch
from golden import fill
from reference import to_banet
from torch import nn

from banet import BAResNet

GOLDEN = Path(__file__).parent / 'golden'
MODELS = {
    'ba_resnet18_v1': (18, 'BridgeAttentionV1'),
    'ba_resnet34_v1_eccv': (34, 'BridgeAttentionV1'),
    'ba_resnet50_v2': (50, 'BridgeAttentionV2'),
}


class Classifier(nn.Module):
    """BAResNet with the reference's pooling and ``fc``."""

    def __init__(self, depth, attention, num_classes):
        super().__init__()
        self.backbone = BAResNet(depth, attention=dict(type=attention))
        self.fc = nn.Linear(self.backbone.feat_dim, num_classes)

    def forward(self, x):
        return self.fc(self.backbone(x)[-1].mean((2, 3)))


@pytest.fixture(scope='module', params=MODELS)
def case(request):
    """The golden numbers, the model with the golden weights, the names."""
    golden = json.loads((GOLDEN / f'{request.param}.json').read_text())
    depth, attention = MODELS[request.param]
    shapes = golden['shapes']
    model = Classifier(depth, attention, shapes['fc.bias'][0]).double()
    names = {
        name: name
        if name.startswith('fc.')
        else 'backbone.' + to_banet(name, 2 if depth < 50 else 3)
        for name in shapes
    }
    model.load_state_dict(
        {
            names[name]: torch.from_numpy(value)
            for name, value in fill.state_dict(shapes).items()
        }
    )
    return golden, model, names


def relative_error(value, expected):
    expected = torch.tensor(expected, dtype=torch.float64)
    return ((value - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize('mode', ['eval', 'train'])
def test_outputs_equal_the_reference(case, mode):
    golden, model, _ = case
    x = torch.from_numpy(fill.images(*golden['input_shape']))
    state = {k: v.clone() for k, v in model.state_dict().items()}
    with torch.no_grad():
        logits = model.train(mode == 'train')(x)
    model.load_state_dict(state)  # running statistics as before
    expected = torch.tensor(golden[mode])
    assert relative_error(logits[:, : expected.shape[1]], golden[mode]) < 1e-9
    assert relative_error(logits.norm(), golden[f'{mode}_norm']) < 1e-9


def test_gradient_norms_equal_the_reference(case):
    golden, model, names = case
    x = torch.from_numpy(fill.images(*golden['input_shape']))
    model.train().zero_grad()
    model(x).square().mean().backward()
    parameters = dict(model.named_parameters())
    largest = max(golden['grad_norm_of_mean_square_logits'].values())
    for name, expected in golden['grad_norm_of_mean_square_logits'].items():
        found = parameters[names[name]].grad.norm().item()
        # Behind a batch norm the bias b has no gradient: round-off there.
        assert found == pytest.approx(
            expected, rel=1e-9, abs=1e-12 * largest
        ), name
