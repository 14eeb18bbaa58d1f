# Worked example of "my own dataset", instance segmentation: cell nuclei in
# COCO format (data/nuclei_mini), from scratch, five minutes on two CPU cores.
_base_ = '../detection/mask-rcnn_ba-r50_fpn_1x_coco.py'

# 1. The classes, in the order of the categories in the json. Without this the
#    dataset would look for COCO's 80 names and find no objects.
data_root = 'data/nuclei_mini/'
metainfo = dict(classes=('nucleus',), palette=[(220, 20, 60)])

# 2. The model: num_classes in *both* heads. A depth of 18 has narrower stages,
#    so the neck's in_channels change as well; 64 channels instead of 256 and
#    fewer samples per image only make it fast on a CPU. Nuclei are small:
#    anchors of scale 4 instead of 8.
#
#    From scratch, with one image per iteration: GroupNorm in the network and
#    LayerNorm in the attention need no batch statistics, which would be poor
#    ones here. With pretrained weights keep the base's BN, frozen_stages and
#    norm_eval, and set init_cfg=dict(checkpoint='torchvision://resnet18').
channels = 64
norm_cfg = dict(type='GN', num_groups=16, requires_grad=True)
model = dict(
    backbone=dict(
        depth=18,
        frozen_stages=-1,
        norm_eval=False,
        init_cfg=dict(_delete_=True, type='Kaiming', layer='Conv2d'),
        norm_cfg=norm_cfg,
        attention=dict(
            type='BridgeAttentionV2', ratio=16, norm_cfg=dict(type='LN')
        ),
    ),
    neck=dict(
        in_channels=[64, 128, 256, 512],
        out_channels=channels,
        norm_cfg=norm_cfg,
    ),
    rpn_head=dict(
        in_channels=channels,
        feat_channels=channels,
        anchor_generator=dict(scales=[4]),
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=channels),
        bbox_head=dict(
            in_channels=channels, fc_out_channels=512, num_classes=1
        ),
        mask_roi_extractor=dict(out_channels=channels),
        mask_head=dict(
            in_channels=channels,
            conv_out_channels=channels,
            norm_cfg=norm_cfg,
            num_classes=1,
        ),
    ),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=500, max_per_img=300),
        rcnn=dict(sampler=dict(num=64)),
    ),
    # Some images hold more nuclei than COCO's 100 objects; AP counts the best
    # 100 all the same, AP50 and AP75 count all.
    test_cfg=dict(rcnn=dict(max_per_img=200)),
)

# 3. The data. Pipelines are lists, and lists are replaced, not merged.
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='Resize', scale=(320, 320), keep_ratio=True),
    dict(
        type='RandomFlip',
        prob=0.75,
        direction=['horizontal', 'vertical', 'diagonal'],
    ),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(320, 320), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(
        type='PackDetInputs',
        meta_keys=(
            'img_id',
            'img_path',
            'ori_shape',
            'img_shape',
            'scale_factor',
        ),
    ),
]
train_dataloader = dict(
    batch_size=1,
    num_workers=1,
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        ann_file='annotations/train.json',
        data_prefix=dict(img='images/train/'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    num_workers=1,
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        ann_file='annotations/val.json',
        data_prefix=dict(img='images/val/'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/val.json')
test_evaluator = val_evaluator

# 4. The schedule: 12 epochs of 48 iterations, evaluated once, at the end.
train_cfg = dict(max_epochs=12, val_interval=12)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=0.05),
    clip_grad=dict(max_norm=10),
)
param_scheduler = [
    dict(type='OneCycleLR', eta_max=1e-3, total_steps=576, by_epoch=False)
]
default_hooks = dict(
    logger=dict(interval=24),
    checkpoint=dict(interval=12),
    visualization=dict(score_thr=0.5),
)
visualizer = dict(line_width=1)
randomness = dict(seed=0)
