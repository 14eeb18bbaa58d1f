"""tools/get_flops.py counts the papers' figures."""

import re

import pytest
import torch
from runs import ROOT, tool
from torch import nn

from banet.benchmark.complexity import Counted, macs_by_module

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    'config,expected',
    [
        (
            'classification/ba-resnet50_8xb32_in1k',
            {
                'backbone.layer1': (246_636, 667_973_776),
                'total': (28_702_664, 4_092_330_768),
            },
        ),
        (
            'classification/bav1-resnet101_8xb32_in1k',
            {'total': (50_490_312, 7_807_334_400)},
        ),
        (
            'demo/upernet_ba-r18_nuclei',
            {'backbone.conv1': (9_408, 154_140_672)},
        ),
    ],
)
def test_flops_are_the_papers(config, expected):
    result = tool('get_flops.py', ROOT / f'configs/{config}.py')
    assert result.returncode == 0, result.stderr[-2000:]
    for part, (params, macs) in expected.items():
        assert re.search(
            rf'^{part} +{params:,} +{macs:,}$', result.stdout, re.M
        ), result.stdout


class Stage(nn.Module):
    """A head of a cascade, which may see the one before it."""

    def __init__(self, seen):
        super().__init__()
        self.conv = nn.Conv2d(seen, 2, 1)

    def forward(self, features, before=None):
        return self.conv(features if before is None else before)


class WithLabels(nn.Module):
    def forward(self, features, batch_data_samples):
        raise AssertionError('there are none')


def test_heads_of_a_cascade_are_counted_and_one_that_needs_labels_is_not():
    model = nn.Module()
    model.backbone = nn.Conv2d(3, 4, 1)
    model.decode_head = nn.ModuleList([Stage(4), Stage(2)])
    x = torch.zeros(1, 3, 5, 5)
    macs = macs_by_module(Counted(model).eval(), x)
    assert macs[''] == 25 * (3 * 4 + 4 * 2 + 2 * 2)
    model.decode_head = WithLabels()
    assert macs_by_module(Counted(model).eval(), x)[''] == 25 * 3 * 4
