"""The recipes that upstream has not have the papers' figures."""

import math

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope, MODELS, PARAM_SCHEDULERS
from recipes import CONFIGS, flat


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
