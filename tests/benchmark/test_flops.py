"""tools/get_flops.py counts the papers' figures."""

import re

import pytest
from runs import ROOT, tool

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
