"""Batches of one in the three tasks, and images of any size."""

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, DefaultScope, MODELS
from mmengine.runner import set_random_seed
from runs import SHORT

from banet import BAResNet

NORMS = {
    'BN': dict(norm_cfg=dict(type='BN')),
    'SyncBN': dict(norm_cfg=dict(type='SyncBN')),
    'norm_eval': dict(norm_cfg=dict(type='BN'), norm_eval=True),
}
SIZE = 96  # pixels; the last stage keeps more than one


def demo(scope, digits):
    """The demo's config with one resizing in the place of augmentation."""
    cfg = Config.fromfile(SHORT[scope][0])
    dataset = cfg.train_dataloader.dataset
    load, *_, pack = dataset.pipeline
    steps = [load]
    if scope == 'mmdet':
        steps.append(
            dict(type='LoadAnnotations', with_bbox=True, with_mask=True)
        )
    elif scope == 'mmseg':
        steps.append(dict(type='LoadAnnotations'))
    else:
        dataset.data_root = str(digits)
    dataset.pipeline = [*steps, dict(type='Resize', scale=(SIZE, SIZE)), pack]
    if scope == 'mmseg':
        cfg.model.data_preprocessor.size = (SIZE, SIZE)
    elif scope == 'mmpretrain':  # as the runner does
        cfg.model.data_preprocessor = dict(
            type='ClsDataPreprocessor', **cfg.data_preprocessor
        )
    return cfg


@pytest.mark.slow
@pytest.mark.parametrize('version', ['BridgeAttentionV1', 'BridgeAttentionV2'])
@pytest.mark.parametrize('norm', NORMS)
@pytest.mark.parametrize('scope', SHORT)
def test_batch_of_one_trains(scope, norm, version, digits):
    """Two steps: every trainable parameter moves on by a finite gradient."""
    set_random_seed(0)
    cfg = demo(scope, digits)
    cfg.model.backbone.attention = dict(type=version)
    cfg.model.backbone.pop('norm_cfg', None)  # the demo's GN
    cfg.model.backbone.update(NORMS[norm])
    with DefaultScope.overwrite_default_scope(scope):
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
        model = MODELS.build(cfg.model).train()
        for index in range(2):
            model.zero_grad()
            batch = pseudo_collate([dataset[index]])
            data = model.data_preprocessor(batch, training=True)
            losses = model(**data, mode='loss')
            model.parse_losses(losses)[0].backward()
            for name, parameter in model.backbone.named_parameters():
                assert parameter.grad is not None, name
                assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize('size', [(32, 32), (33, 1), (1, 1), (1333, 801)])
def test_any_size_goes_through(size):
    """Strides of 4 to 32, rounded up; also features one pixel wide."""
    model = BAResNet(18, base_channels=8, stem_channels=8,
                     attention=dict(type='BridgeAttentionV2', ratio=4),
                     out_indices=(0, 1, 2, 3)).eval()  # fmt: skip
    with torch.no_grad():
        outs = model(torch.randn(1, 3, *size))
    for stride, out in zip((4, 8, 16, 32), outs, strict=True):
        expected = [-(-side // stride) for side in size]
        assert list(out.shape[2:]) == expected
        assert out.isfinite().all()


def test_norm_of_the_backbone_cannot_train_on_a_single_value():
    """PyTorch's limit, not the attention's: upstream's ResNet has it too."""
    model = BAResNet(18).train()
    with pytest.raises(ValueError, match='more than 1 value per channel'):
        model(torch.randn(1, 3, 32, 32))
    for kwargs in (
        dict(norm_eval=True),
        dict(
            norm_cfg=dict(type='GN', num_groups=16),
            attention=dict(type='BridgeAttentionV2', norm_cfg=dict(type='LN')),
        ),
    ):
        model = BAResNet(18, **kwargs).train()
        assert model(torch.randn(1, 3, 32, 32))[-1].isfinite().all()
