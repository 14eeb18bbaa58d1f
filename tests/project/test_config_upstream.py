"""Recipes are upstream's, except for the backbone."""

from pathlib import Path

import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.registry import DefaultScope, MODELS
from mmengine.utils import get_installed_path
from recipes import (
    CONFIGS,
    flat,
    names,
    PLAIN,
    plain_name,
    RECIPES,
    SCOPES,
)


def upstream_of(name):
    """Our recipe's baseline among the installed configs, or None."""
    path = CONFIGS[name]
    scope = SCOPES[path.parent.name]
    root = Path(get_installed_path(scope)) / '.mim' / 'configs'
    found = sorted(root.glob(f'*/{plain_name(name)}.py'))
    return found[0] if found else None


# Ours alone: composed from upstream's bases, checked further below.
OWN = 'adamw', 'coslr', 'resnet18_8xb16_cifar100'
COMPOSED = [name for name in RECIPES if any(part in name for part in OWN)]


@pytest.mark.slow
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


@pytest.mark.slow
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


def upstream_figures(path):
    """What the metafile beside an installed config says, entry by entry."""
    (metafile,) = path.parent.glob('metafile.y*ml')
    entries = [
        entry
        for entry in yaml.safe_load(metafile.read_text())['Models']
        if Path(entry['Config']).name == path.name
    ]
    # Weights of other origins come under names of their own.
    named = [entry for entry in entries if entry['Name'] == path.stem]
    chosen = named or (entries if len(entries) == 1 else [])
    for entry in chosen:
        results = entry.get('Results') or []
        results = results if isinstance(results, list) else [results]
        yield {k: v for r in results for k, v in r['Metrics'].items()}


@pytest.mark.slow
@pytest.mark.parametrize('name', [n for n in RECIPES if n not in COMPOSED])
def test_figures_of_the_plain_network_are_upstreams(name):
    path, plain = upstream_of(name), PLAIN[plain_name(name)]
    assert plain['URL'].endswith(f'/configs/{path.parent.name}/{path.name}')
    theirs = list(upstream_figures(path)) or [{}]
    # One name of mmseg's stands twice there, for 80k and for 160k.
    assert any(plain['Metrics'].items() <= t.items() for t in theirs)
    assert bool(plain['Metrics']) == bool(theirs[0])
