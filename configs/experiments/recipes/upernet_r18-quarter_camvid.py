# Street scenes of CamVid (367 + 101 images of 480 x 360, 11 classes) at half
# of their size, pretrained, trained on crops.
_base_ = '../../demo/upernet_ba-r18_nuclei.py'

metainfo = dict(
    classes=(
        'sky',
        'building',
        'pole',
        'road',
        'pavement',
        'tree',
        'signsymbol',
        'fence',
        'car',
        'pedestrian',
        'bicyclist',
    ),
    palette=[[20 * i, 255 - 20 * i, 60] for i in range(11)],
)
num_classes = len(metainfo['classes'])
crop_size = (192, 192)
width = 16
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        base_channels=width,
        stem_channels=width,
        norm_cfg=dict(_delete_=True, type='BN', requires_grad=True),
        init_cfg=dict(
            _delete_=True, type='Pretrained', checkpoint='', prefix='backbone.'
        ),
    ),
    decode_head=dict(
        in_channels=[width, 2 * width, 4 * width, 8 * width],
        num_classes=num_classes,
        out_channels=num_classes,
    ),
    auxiliary_head=dict(
        in_channels=4 * width,
        num_classes=num_classes,
        out_channels=num_classes,
    ),
)

dataset = dict(
    data_root='data/camvid11/',
    img_suffix='.jpg',
    metainfo=dict(_delete_=True, **metainfo),
)
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        data_prefix=dict(
            img_path='images/train', seg_map_path='annotations/train'
        ),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(
                type='RandomResize',
                scale=(240, 180),
                ratio_range=(1.0, 1.5),
                keep_ratio=True,
            ),
            dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackSegInputs'),
        ],
        **dataset,
    ),
)
val_dataloader = dict(
    dataset=dict(
        data_prefix=dict(
            img_path='images/val', seg_map_path='annotations/val'
        ),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(240, 180), keep_ratio=True),
            dict(type='LoadAnnotations'),
            dict(type='PackSegInputs'),
        ],
        **dataset,
    ),
)
test_dataloader = val_dataloader

iterations = 1500  # 33 epochs
train_cfg = dict(max_iters=iterations, val_interval=500)
param_scheduler = [
    dict(
        type='OneCycleLR', eta_max=1e-3, total_steps=iterations, by_epoch=False
    )
]
default_hooks = dict(
    checkpoint=dict(interval=100, max_keep_ckpts=2),
    visualization=dict(draw=False),
)
