"""Every shipped config: it builds, says what its name says, and trains."""

import json
import math
import re
import runpy
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

import pytest
import torch
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, DefaultScope, MODELS, PARAM_SCHEDULERS
from mmengine.utils import get_installed_path

ROOT = Path(__file__).parent.parent
CONFIGS = {path.stem: path for path in sorted(ROOT.glob('configs/*/*.py'))}
README = (ROOT / 'README.md').read_text()
NUCLEI = ROOT / 'data' / 'nuclei_mini'
SCOPES = dict(
    classification='mmpretrain', detection='mmdet', segmentation='mmseg'
)


def names(*folders):
    return [
        name for name, path in CONFIGS.items() if path.parent.name in folders
    ]


RECIPES = names('classification', 'detection', 'segmentation')


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
    (r'resnext(\d+)', 'BAResNeXt', int),
    (r'(?:resnet|r)(\d+)', 'BAResNet', int),
    (r'mobilenet-v3-(\w+?)_', 'BAMobileNetV3', str),
    (r'efficientnet-(b\d)', 'BAEfficientNet', str),
    (r'efficientnetv2-(\w)_', 'BAEfficientNetV2', str),
    (r'(regnetx-[.\w]+?f)_', 'BARegNet', lambda s: s.replace('-', '_')),
    (r'convnext-(?:v2-)?(t)', 'BAConvNeXt', lambda s: 'tiny'),
    (r'swin-(t)', 'BASwinTransformer', lambda s: 'tiny'),
)


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


@pytest.mark.parametrize('name', RECIPES)
def test_schedule_batch_and_crop_are_those_of_the_name(name):
    cfg = Config.fromfile(CONFIGS[name])
    batch = re.search(r'_(\d+)xb(\d+)', name)
    if batch:
        gpus, per_gpu = int(batch[1]), int(batch[2])
        assert cfg.train_dataloader.batch_size == per_gpu
        if 'auto_scale_lr' in cfg:
            assert cfg.auto_scale_lr.base_batch_size == gpus * per_gpu
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


@pytest.mark.parametrize('name', RECIPES)
def test_readme_lists_the_config_with_its_size(built, name):
    path = CONFIGS[name].relative_to(ROOT)
    found = built[name]
    assert (
        f'| [{name}]({path}) | {found["params"]:,} | '
        f'{found["macs"] / 1e9:.2f} G |'
    ) in README


def as_list(value):
    return value if isinstance(value, list) else [value]


def flat(value, prefix=''):
    """``{'a.b.0.c': value}``, without mmengine's own scope marks."""
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, (list, tuple))
        else None
    )
    if items is None:
        return {prefix: value}
    result = {}
    for key, child in items:
        if key != '_scope_':
            result.update(flat(child, f'{prefix}.{key}' if prefix else key))
    return result


def upstream_of(name):
    """Our recipe's baseline among the installed configs, or None."""
    path = CONFIGS[name]
    scope = SCOPES[path.parent.name]
    stem = re.sub(r'bav?1?-', '', name)
    root = Path(get_installed_path(scope)) / '.mim' / 'configs'
    found = sorted(root.glob(f'*/{stem}.py'))
    return found[0] if found else None


# Ours alone: composed from upstream's bases, checked further below.
COMPOSED = [name for name in RECIPES if 'adamw' in name or 'coslr' in name]


@pytest.mark.parametrize('name', [n for n in RECIPES if n not in COMPOSED])
def test_recipe_is_upstreams_except_for_the_backbone(name):
    ours = flat(Config.fromfile(CONFIGS[name])._cfg_dict.to_dict())
    theirs = flat(Config.fromfile(upstream_of(name))._cfg_dict.to_dict())
    ignored = (
        'custom_imports',
        'model.backbone.type',
        'model.backbone.attention',
    )
    if SCOPES[CONFIGS[name].parent.name] == 'mmseg':
        # Plain stem and its weights; upstream's variables of the same value.
        ignored += (
            'model.pretrained',
            'model.backbone.init_cfg',
            'norm_cfg',
            'data_preprocessor',
            'dataset_train',
            'dataset_aug',
            'img_ratios',
            'checkpoint_file',
            'backbone_norm_cfg',
        )
    if 'swin' in name and SCOPES[CONFIGS[name].parent.name] != 'mmpretrain':
        ignored += ('model.backbone', 'pretrained')  # compared further below
    if 'mask-rcnn_ba-convnext' in name:
        ignored += ('model.backbone.init_cfg',)
    difference = {
        key: (ours.get(key), theirs.get(key))
        for key in ours.keys() | theirs.keys()
        if ours.get(key) != theirs.get(key) and not key.startswith(ignored)
    }
    assert difference == {}


@pytest.mark.parametrize('name', names('segmentation'))
def test_segmentation_starts_from_the_weights_of_its_depth(name):
    backbone = Config.fromfile(CONFIGS[name]).model.backbone
    weights = dict(
        BAResNet=f'resnet{backbone.get("depth")}',
        BAConvNeXt='convnext_tiny.imagenet1k_v1',
        BASwinTransformer='swin_t.imagenet1k_v1',
    )[backbone.type]
    assert backbone.init_cfg == dict(
        type='Pretrained', checkpoint=f'torchvision://{weights}'
    )


SWINS = names('detection', 'segmentation')
SWINS = [name for name in SWINS if 'ba-swin' in name]


@pytest.mark.parametrize('name', SWINS)
def test_swin_is_that_of_mmdet_and_mmseg_but_for_the_attention(name):
    """Other arguments, the same output, also on maps that windows exceed."""
    scope = SCOPES[CONFIGS[name].parent.name]
    theirs = Config.fromfile(upstream_of(name)).model.backbone
    ours = Config.fromfile(CONFIGS[name]).model.backbone
    assert ours.drop_path_rate == theirs.drop_path_rate
    theirs.init_cfg = ours.init_cfg = None
    theirs.pop('convert_weights', None)  # of the file, which is not loaded
    with DefaultScope.overwrite_default_scope(scope):
        model, plain = MODELS.build(ours), MODELS.build(theirs)
    plain.init_weights()
    model.load_state_dict(plain.state_dict(), strict=False)
    model.eval(), plain.eval()
    x = torch.rand(1, 3, 70, 135)
    with torch.no_grad():
        for a, b in zip(model(x), plain(x), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_every_baseline_is_compared():
    """The mapping of names finds upstream's file for all but ours alone."""
    assert [name for name in RECIPES if upstream_of(name) is None] == COMPOSED


def rates(cfg, epoch_length):
    """Learning rate of every iteration, by the config's own schedulers."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=cfg.optim_wrapper.optimizer.lr)
    schedulers = [
        PARAM_SCHEDULERS.build(
            dict(scheduler),
            default_args=dict(optimizer=optimizer, epoch_length=epoch_length),
        )
        for scheduler in cfg.param_scheduler
    ]
    found = []
    for _ in range(cfg.train_cfg.max_epochs * epoch_length):
        found.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return found


@pytest.mark.parametrize('depth', [50, 101])
def test_adamw_recipe_has_the_rates_of_the_reference(depth):
    cfg = Config.fromfile(CONFIGS[f'ba-resnet{depth}_4xb256-adamw-300e_in1k'])
    length = 20
    for step, rate in enumerate(rates(cfg, length)):
        epoch = step / length
        if epoch < 20:
            expected = 1e-6 + (1e-3 - 1e-6) * epoch / 20
            assert rate == pytest.approx(expected, rel=0.011)
        else:
            expected = (
                1e-5
                + (1e-3 - 1e-5) * (1 + math.cos(math.pi * epoch / 300)) / 2
            )
            assert rate == pytest.approx(expected, rel=3e-4)


@pytest.mark.parametrize('depth', [50, 101])
def test_adamw_recipe_has_the_figures_of_the_paper(depth):
    cfg = Config.fromfile(CONFIGS[f'ba-resnet{depth}_4xb256-adamw-300e_in1k'])
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
    assert cfg.optim_wrapper.clip_grad == dict(max_norm=5.0)
    optimizer = cfg.optim_wrapper.optimizer
    assert (
        optimizer.type,
        optimizer.lr,
        optimizer.betas,
        optimizer.weight_decay,
    ) == ('AdamW', 1e-3, (0.9, 0.999), 0.05)
    steps = {step.type: step for step in cfg.train_pipeline}
    assert steps['RandomResizedCrop'].scale == 224
    assert steps['RandomResizedCrop'].interpolation == 'bicubic'
    augment = steps['RandAugment']
    assert (
        augment.policies,
        augment.magnitude_level,
        augment.magnitude_std,
    ) == ('timm_increasing', 9, 0.5)
    erasing = steps['RandomErasing']
    assert (erasing.erase_prob, erasing.mode) == (0.25, 'rand')
    assert cfg.model.train_cfg.augments == [
        dict(type='Mixup', alpha=0.8),
        dict(type='CutMix', alpha=1.0),
    ]
    assert 'probs' not in cfg.model.train_cfg
    assert cfg.model.head.loss == dict(
        type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'
    )
    steps = {step.type: step for step in cfg.test_pipeline}
    assert (
        steps['ResizeEdge'].scale,
        steps['ResizeEdge'].interpolation,
        steps['CenterCrop'].crop_size,
    ) == (256, 'bicubic', 224)
    assert cfg.default_hooks.checkpoint.save_best == 'accuracy/top1'


def test_adamw_recipe_decays_no_vector_and_no_bias():
    cfg = Config.fromfile(CONFIGS['ba-resnet50_4xb256-adamw-300e_in1k'])
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg.model)
        # AmpOptimWrapper's own type asks for a GPU; the groups are the same.
        wrapper = build_optim_wrapper(
            model,
            {
                'optimizer': cfg.optim_wrapper.optimizer,
                'paramwise_cfg': cfg.optim_wrapper.paramwise_cfg,
            },
        )
    decay = {
        id(p): group['weight_decay']
        for group in wrapper.param_groups
        for p in group['params']
    }
    for name, parameter in model.named_parameters():
        expected = 0.05 if parameter.ndim > 1 else 0
        assert decay[id(parameter)] == expected, name


@pytest.mark.parametrize('depth', [50, 101])
def test_coslr_recipe_has_the_figures_of_the_first_paper(depth):
    cfg = Config.fromfile(
        CONFIGS[f'bav1-resnet{depth}_2xb128-coslr-100e_in1k']
    )
    assert flat(cfg.optim_wrapper.optimizer) == dict(
        type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4
    )
    assert 'paramwise_cfg' not in cfg.optim_wrapper
    loss = cfg.model.head.loss
    assert (loss.type, loss.label_smooth_val) == ('LabelSmoothLoss', 0.1)
    found = rates(cfg, 10)
    assert len(found) == 1000
    assert found[50] == pytest.approx(0.1)  # warm-up: 5 epochs
    assert found[525] == pytest.approx(0.05, rel=1e-6)
    assert found[-1] < 1e-5


def real_batch(cfg, size):
    """Two images of the nuclei set, through the config's own kind of data."""
    scope = cfg.default_scope
    if scope == 'mmpretrain':
        dataset = dict(
            type='CustomDataset',
            data_root=str(NUCLEI),
            data_prefix='images',
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='RandomResizedCrop', scale=size),
                dict(type='PackInputs'),
            ],
        )
        picks = 0, 50  # one of each folder
    elif scope == 'mmdet':
        dataset = dict(
            type='CocoDataset',
            metainfo=dict(classes=('nucleus',)),
            data_root=str(NUCLEI),
            ann_file='annotations/train.json',
            data_prefix=dict(img='images/train/'),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(
                    type='LoadAnnotations',
                    with_bbox=True,
                    with_mask='mask' in cfg.filename,
                ),
                dict(type='Resize', scale=(size, size), keep_ratio=True),
                dict(type='PackDetInputs'),
            ],
        )
        picks = 0, 1
    else:
        dataset = dict(
            type='BaseSegDataset',
            metainfo=dict(classes=('background', 'nucleus')),
            data_root=str(NUCLEI),
            img_suffix='.png',
            data_prefix=dict(
                img_path='images/train', seg_map_path='labels/train'
            ),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations'),
                dict(type='RandomCrop', crop_size=(size, size)),
                dict(type='PackSegInputs'),
            ],
        )
        picks = 0, 1
    built = DATASETS.build(dataset)
    return pseudo_collate([built[i] for i in picks])


FAMILIES = [
    'ba-resnet18_8xb32_in1k',
    'ba-resnext50-32x4d_8xb32_in1k',
    'bav1-resnet50_8xb32_in1k',
    'ba-resnet50_4xb256-adamw-300e_in1k',
    'bav1-resnet50_2xb128-coslr-100e_in1k',
    'ba-resnet50_8xb256-rsb-a1-600e_in1k',
    'faster-rcnn_ba-r50_fpn_1x_coco',
    'mask-rcnn_ba-r50_fpn_1x_coco',
    'mask-rcnn_bav1-r50_fpn_1x_coco',
    'cascade-mask-rcnn_ba-r50_fpn_1x_coco',
    'retinanet_ba-r50_fpn_1x_coco',
    'fcn_ba-r50-d8_4xb4-80k_ade20k-512x512',
    'pspnet_ba-r50-d8_4xb4-80k_ade20k-512x512',
    'deeplabv3plus_ba-r50-d8_4xb4-80k_ade20k-512x512',
    'upernet_ba-r50_4xb4-80k_ade20k-512x512',
    'ba-mobilenet-v3-large_8xb128_in1k',
    'ba-mobilenet-v3-small_8xb128_in1k',
    'ba-efficientnet-b0_8xb32_in1k',
    'ba-efficientnetv2-s_8xb32_in1k-384px',
    'ba-regnetx-4.0gf_8xb64_in1k',
    'ba-convnext-tiny_32xb128_in1k',
    'ba-convnext-v2-tiny_32xb32_in1k',
    'ba-swin-tiny_16xb64_in1k',
    'mask-rcnn_ba-convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco',
    'mask-rcnn_ba-swin-t-p4-w7_fpn_1x_coco',
    'ba-convnext-tiny_upernet_8xb2-amp-160k_ade20k-512x512',
    'ba-swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512',
]


@pytest.mark.parametrize('name', FAMILIES)
def test_family_makes_a_step_that_reaches_every_trainable_parameter(name):
    cfg = Config.fromfile(CONFIGS[name])
    if cfg.default_scope == 'mmpretrain':  # as the runner does
        cfg.model.data_preprocessor = dict(
            type='ClsDataPreprocessor', **cfg.data_preprocessor
        )
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model)
        if cfg.default_scope == 'mmseg':
            model.data_preprocessor.size = (128, 128)
        # Its windows need seven pixels at stride 32.
        batch = real_batch(
            cfg, 224 if name == 'ba-swin-tiny_16xb64_in1k' else 128
        )
        model.train()
        data = model.data_preprocessor(batch, training=True)
        loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert loss.isfinite()
    without = [
        name
        for name, p in model.named_parameters()
        if p.requires_grad and (p.grad is None or not p.grad.isfinite().all())
    ]
    assert without == []


EXPERIMENT = runpy.run_path(str(ROOT / 'tools/experiment_warm_start.py'))


@pytest.mark.parametrize('task', EXPERIMENT['TASKS'])
@pytest.mark.parametrize(
    'start,attention,warm_start',
    [
        ('plain', 'NoneType', True),
        ('warm', 'BridgeAttentionV2', True),
        ('random', 'BridgeAttentionV2', False),
    ],
)
def test_warm_start_experiment_compares_what_it_says(
    task, start, attention, warm_start
):
    cfg = Config.fromfile(ROOT / f'configs/experiments/warm_start/{task}.py')
    parser = ArgumentParser()
    parser.add_argument('--cfg-options', nargs='*', action=DictAction)
    options = EXPERIMENT['STARTS'][start][1]
    args = parser.parse_args(['--cfg-options', *options])
    cfg.merge_from_dict(args.cfg_options or {})
    backbone = MODELS.build(cfg.model.backbone)
    for stage in backbone.res_layers:
        for block in getattr(backbone, stage):
            assert type(block.attention).__name__ == attention
            assert block.warm_start == warm_start


def test_warm_start_experiments_table_has_mean_and_deviation():
    results = {
        (task, start, seed): {
            key: (1 + seed) / factor for key, (_, factor) in metrics.items()
        }
        for task, metrics in EXPERIMENT['TASKS'].items()
        for start in EXPERIMENT['STARTS']
        for seed in (0, 1, 2)
    }
    lines = EXPERIMENT['table'](results).splitlines()
    assert lines[2] == '| plain ResNet-18 |' + ' 2.0 ± 1.0 |' * 3
    assert len(lines) == 5
