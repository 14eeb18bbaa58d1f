_base_ = 'mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py'
custom_imports = dict(imports=['banet'])
# mmpretrain's arguments: mmdet has a Swin Transformer of its own.
model = dict(
    backbone=dict(
        _delete_=True,
        type='BASwinTransformer',
        arch='tiny',
        drop_path_rate=0.2,
        out_indices=(0, 1, 2, 3),
        pad_small_map=True,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='torchvision://swin_t.imagenet1k_v1',
        ),
    )
)
