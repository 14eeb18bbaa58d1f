"""One config of each kind makes a training step on real images."""

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, DefaultScope, MODELS
from recipes import CONFIGS
from runs import NUCLEI

pytestmark = pytest.mark.slow


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


# One config of each kind of head and loss that no demo trains; gradients of
# both versions of the attention in every family: tests/contracts.
HEADS = [
    'ba-resnet50_8xb256-rsb-a1-600e_in1k',
    'cascade-mask-rcnn_ba-r50_fpn_1x_coco',
    'retinanet_ba-r50_fpn_1x_coco',
    'fcn_ba-r50-d8_4xb4-80k_ade20k-512x512',
    'deeplabv3plus_ba-r50-d8_4xb4-80k_ade20k-512x512',
    'ba-convnext-v2-tiny_32xb32_in1k',
    'mask-rcnn_ba-swin-t-p4-w7_fpn_1x_coco',
    'ba-swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512',
]


@pytest.mark.parametrize('name', HEADS)
def test_config_makes_a_step_that_reaches_every_trainable_parameter(name):
    cfg = Config.fromfile(CONFIGS[name])
    if cfg.default_scope == 'mmpretrain':  # as the runner does
        cfg.model.data_preprocessor = dict(
            type='ClsDataPreprocessor', **cfg.data_preprocessor
        )
    if 'rpn_proposal' in cfg.model.get('train_cfg', {}):
        cfg.model.train_cfg.rpn_proposal.max_per_img = 64  # not 2000
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model)
        if cfg.default_scope == 'mmseg':
            model.data_preprocessor.size = (128, 128)
        batch = real_batch(cfg, 128)
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
