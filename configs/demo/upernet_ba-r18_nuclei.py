# Worked example of "my own dataset", semantic segmentation: cell nuclei as
# images and label PNGs (data/nuclei_mini), from scratch, minutes on two cores.
_base_ = [
    '../segmentation/_base_/models/upernet_ba-r50.py',
    '../segmentation/_base_/datasets/common.py',
    '../segmentation/_base_/schedules/schedule_20k.py',
    '../segmentation/_base_/default_runtime.py',
]

# 1. The classes: value 0 in a label PNG is the first one, and 255 is ignored.
#    Any other value that is no class stops the training (tools/check_data.py
#    names it before).
metainfo = dict(
    classes=('background', 'nucleus'), palette=[(0, 0, 0), (220, 20, 60)]
)
num_classes = len(metainfo['classes'])

# 2. The model: num_classes in *both* heads. A depth of 18 has narrower stages,
#    so the heads' in_channels change as well.
#
#    From scratch, with two images per iteration: GroupNorm in the network and
#    LayerNorm in the attention need no batch statistics, which would be poor
#    ones here. With pretrained weights take BN in the backbone, and set
#    init_cfg=dict(checkpoint='torchvision://resnet18').
crop_size = (256, 256)
norm_cfg = dict(type='GN', num_groups=16, requires_grad=True)
loss = dict(type='CrossEntropyLoss', use_sigmoid=False, avg_non_ignore=True)
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        depth=18,
        init_cfg=dict(_delete_=True, type='Kaiming', layer='Conv2d'),
        norm_cfg=norm_cfg,
        attention=dict(
            type='BridgeAttentionV2', ratio=16, norm_cfg=dict(type='LN')
        ),
    ),
    decode_head=dict(
        in_channels=[64, 128, 256, 512],
        channels=64,
        num_classes=num_classes,
        out_channels=num_classes,
        norm_cfg=norm_cfg,
        loss_decode=dict(loss_weight=1.0, **loss),
    ),
    auxiliary_head=dict(
        in_channels=256,
        channels=64,
        num_classes=num_classes,
        out_channels=num_classes,
        norm_cfg=norm_cfg,
        loss_decode=dict(loss_weight=0.4, **loss),
    ),
)

# 3. The data. Pipelines are lists, and lists are replaced, not merged.
dataset = dict(
    type='BaseSegDataset',
    data_root='data/nuclei_mini/',
    img_suffix='.png',
    seg_map_suffix='.png',
    reduce_zero_label=False,
    metainfo=metainfo,
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(
        type='RandomFlip',
        prob=0.75,
        direction=['horizontal', 'vertical', 'diagonal'],
    ),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=2,
    num_workers=1,
    dataset=dict(
        data_prefix=dict(
            img_path='images/train/', seg_map_path='labels/train/'
        ),
        pipeline=train_pipeline,
        **dataset,
    ),
)
val_dataloader = dict(
    num_workers=1,
    dataset=dict(
        data_prefix=dict(img_path='images/val/', seg_map_path='labels/val/'),
        pipeline=test_pipeline,
        **dataset,
    ),
)
test_dataloader = val_dataloader

# 4. The schedule.
iterations = 360
train_cfg = dict(max_iters=iterations, val_interval=iterations)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=0.05),
    clip_grad=dict(_delete_=True, max_norm=10),
)
param_scheduler = [
    dict(
        type='OneCycleLR', eta_max=1e-3, total_steps=iterations, by_epoch=False
    )
]
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(interval=iterations),
    visualization=dict(draw=True),
)
randomness = dict(seed=0)
