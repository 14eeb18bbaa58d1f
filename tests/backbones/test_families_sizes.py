"""Parameters and multiply-adds of the other families, to the last digit."""

import pytest
import torch
from families import V1
from once import leave_values_and_norms
from torch.utils.flop_counter import FlopCounterMode

from banet import (
    BAConvNeXt,
    BAEfficientNet,
    BAEfficientNetV2,
    BAMobileNetV3,
    BARegNet,
    BASwinTransformer,
)

# At 224 x 224: parameters and MACs, plain and with the attention.
SIZES = [
    (
        BARegNet,
        dict(arch='regnetx_4.0gf'),
        (20_757_248, 3_963_138_816),
        (22_856_430, 3_965_238_651),
    ),
    (
        BAMobileNetV3,
        dict(arch='large'),
        (2_971_952, 214_080_960),
        (2_966_424, 214_080_488),
    ),
    (
        BAMobileNetV3,
        dict(arch='small'),
        (927_008, 54_896_576),
        (919_456, 54_891_864),
    ),
    (
        BAEfficientNet,
        dict(arch='b0'),
        (4_007_548, 384_534_752),
        (7_134_709, 387_671_168),
    ),
    (
        BAEfficientNet,
        dict(arch='b1'),
        (6_513_184, 568_371_680),
        (12_042_859, 573_915_392),
    ),
    (
        BAEfficientNet,
        dict(arch='b2'),
        (7_700_994, 657_555_440),
        (14_256_059, 664_125_792),
    ),
    (
        BAEfficientNet,
        dict(arch='b3'),
        (10_696_232, 961_172_240),
        (19_975_504, 970_471_440),
    ),
    (
        BAEfficientNet,
        dict(arch='b4'),
        (17_548_616, 1_501_918_432),
        (33_108_860, 1_517_507_536),
    ),
    (
        BAEfficientNetV2,
        dict(arch='s'),
        (20_177_488, 2_848_615_872),
        (38_130_968, 2_866_604_454),
    ),
    (
        BAConvNeXt,
        dict(arch='tiny'),
        (27_820_128, 4_454_763_264),
        (29_236_260, 4_456_179_738),
    ),
    (
        BAConvNeXt,
        dict(arch='small'),
        (49_454_688, 8_682_944_256),
        (52_032_972, 8_685_523_242),
    ),
    (
        BAConvNeXt,
        dict(arch='base'),
        (87_566_464, 15_353_705_472),
        (92_149_216, 15_358_289_208),
    ),
    (
        BAConvNeXt,
        dict(arch='tiny', use_grn=True, layer_scale_init_value=0.0),
        (27_866_496, 4_454_763_264),
        (29_282_628, 4_456_179_738),
    ),
    (
        BASwinTransformer,
        dict(arch='tiny'),
        (27_519_354, 4_489_798_656),
        (28_463_442, 4_490_742_972),
    ),
    (
        BASwinTransformer,
        dict(arch='small'),
        (48_837_258, 8_740_107_264),
        (50_556_114, 8_741_826_588),
    ),
    (
        BASwinTransformer,
        dict(arch='base'),
        (86_743_224, 15_429_922_816),
        (89_798_392, 15_432_978_640),
    ),
]


def count(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    'cls,arch,plain,head,expected',
    [
        (BAMobileNetV3, 'large', 5_483_032, 2_511_080, 5_478_832),
        (BAMobileNetV3, 'small', 2_542_856, 1_615_848, 2_536_040),
        (BAEfficientNet, 'b0', 5_288_548, 1_281_000, 8_418_640),
    ],
)
def test_version_1_has_the_authors_number_of_parameters(
    cls, arch, plain, head, expected
):
    attention = dict(type=V1, ratio=6)
    assert count(cls(arch=arch, attention=None)) + head == plain
    assert count(cls(arch=arch, attention=attention)) + head == expected


@pytest.mark.slow
@pytest.mark.parametrize('cls,kwargs,plain,bridged', SIZES)
def test_parameters_and_macs(cls, kwargs, plain, bridged, monkeypatch):
    leave_values_and_norms(monkeypatch.setattr)

    def figures(**more):
        model = cls(**kwargs, **more).eval().to('meta')  # nothing calculated
        with FlopCounterMode(display=False) as counter:
            model(torch.zeros(1, 3, 224, 224, device='meta'))
        return count(model), counter.get_total_flops() // 2

    assert figures(attention=None) == plain
    assert figures() == bridged
