_base_ = (
    'mmdet::convnext/mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco.py'
)
custom_imports = dict(_delete_=True, imports=['banet'])
model = dict(
    backbone=dict(
        type='BAConvNeXt',
        # torchvision's, from a host that answers.
        init_cfg=dict(
            _delete_=True,
            type='Pretrained',
            checkpoint='torchvision://convnext_tiny.imagenet1k_v1',
        ),
    )
)
