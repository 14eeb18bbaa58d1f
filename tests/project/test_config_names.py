"""Every shipped config builds by itself and is what its name says."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config
from recipes import CONFIGS, ENTRIES, PLAIN, plain_name, RECIPES
from runs import ROOT


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    """What processes in another folder, without banet, built of each."""
    result = subprocess.run(
        [sys.executable, ROOT / 'tests/build_configs.py', *CONFIGS.values()],
        cwd=tmp_path_factory.mktemp('elsewhere'),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    lines = [
        json.loads(line)
        for line in result.stdout.splitlines()
        if line.startswith('{')
    ]
    return {Path(line['path']).stem: line for line in lines}


# What a name says -> the backbone, and its depth or arch from the rest.
FAMILY_NAMES = (
    (r'resnet(\d+)_8xb16_cifar', 'BAResNet_CIFAR', int),
    (r'resnext(\d+)', 'BAResNeXt', int),
    (r'(?:resnet|r)(\d+)', 'BAResNet', int),
    (r'mobilenet-v3-(\w+?)_', 'BAMobileNetV3', str),
    (r'efficientnet-(b\d)', 'BAEfficientNet', str),
    (r'efficientnetv2-(\w)_', 'BAEfficientNetV2', str),
    (r'(regnetx-[.\w]+?f)_', 'BARegNet', lambda s: s.replace('-', '_')),
    (r'convnext-(?:v2-)?(t)', 'BAConvNeXt', lambda s: 'tiny'),
    (r'swin-(t)', 'BASwinTransformer', lambda s: 'tiny'),
)


@pytest.mark.slow
@pytest.mark.parametrize('name', CONFIGS)
def test_config_builds_by_itself_what_its_name_says(built, name):
    found = built[name]
    bridged = re.search(r'ba(v1)?-(.+)', name)
    version, rest = bridged.groups() if bridged else (None, name)
    matches = (
        (re.match(pattern, rest), backbone, convert)
        for pattern, backbone, convert in FAMILY_NAMES
    )
    match, backbone, convert = next(m for m in matches if m[0])
    assert (found['backbone'], found['arch']) == (backbone, convert(match[1]))
    version = 'BridgeAttentionV1' if version else 'BridgeAttentionV2'
    assert found['attentions'] == ([version] if bridged else [])
    assert found['widths'] == found['expected_widths']
    assert found['imports'] == ['banet']


def as_list(value):
    return value if isinstance(value, list) else [value]


@pytest.mark.slow
@pytest.mark.parametrize('name', RECIPES)
def test_schedule_batch_and_crop_are_those_of_the_name(name):
    cfg = Config.fromfile(CONFIGS[name])
    listed = ENTRIES[name]['Metadata']
    batch = re.search(r'_(\d+)xb(\d+)', name)
    if batch:
        gpus, per_gpu = int(batch[1]), int(batch[2])
        assert cfg.train_dataloader.batch_size == per_gpu
        assert listed['Batch Size'] == gpus * per_gpu
    if 'auto_scale_lr' in cfg:
        assert cfg.auto_scale_lr.base_batch_size == listed['Batch Size']
    assert listed.get('Epochs') == cfg.train_cfg.get('max_epochs')
    assert listed.get('Iterations') == cfg.train_cfg.get('max_iters')
    for pattern, found in (
        (r'-(\d+)e_', 'max_epochs'),
        (r'-(\d+)k_', 'max_iters'),
    ):
        length = re.search(pattern, name)
        if length:
            unit = 1 if found == 'max_epochs' else 1000
            assert cfg.train_cfg[found] == int(length[1]) * unit
            ends = [s['end'] for s in as_list(cfg.param_scheduler)]
            assert max(ends) == int(length[1]) * unit
    times = re.search(r'-?([12])x_coco', name)
    if times:
        assert cfg.train_cfg.max_epochs == 12 * int(times[1])
    crop = re.search(r'-(\d+)x(\d+)$', name)
    if crop:
        size = (int(crop[1]), int(crop[2]))
        assert tuple(cfg.model.data_preprocessor.size) == size
        assert tuple(cfg.crop_size) == size


def to_ten_millions(macs):
    return round(macs / 1e7) * 10**7


@pytest.mark.slow
@pytest.mark.parametrize('name', RECIPES)
def test_sizes_are_those_of_the_models(built, name):
    found, own = built[name], ENTRIES[name]['Metadata']
    plain = PLAIN[plain_name(name)]
    assert own['Parameters'] == found['params']
    assert own['FLOPs'] == to_ten_millions(found['macs'])
    assert plain['Parameters'] == found['plain_params']
    assert plain['FLOPs'] == to_ten_millions(found['plain_macs'])
