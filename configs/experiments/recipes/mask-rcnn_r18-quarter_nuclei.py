# The nuclei detector of the demo on all 298 images, pretrained, and trained as
# mmdet does that: BN in eval mode, stem and first stage frozen.
_base_ = '../../demo/mask-rcnn_ba-r18_fpn_nuclei.py'

width = 16
model = dict(
    backbone=dict(
        base_channels=width,
        stem_channels=width,
        frozen_stages=1,
        norm_eval=True,
        norm_cfg=dict(_delete_=True, type='BN', requires_grad=True),
        init_cfg=dict(
            _delete_=True, type='Pretrained', checkpoint='', prefix='backbone.'
        ),
    ),
    neck=dict(in_channels=[width, 2 * width, 4 * width, 8 * width]),
)
loader = dict(num_workers=1, persistent_workers=True)
train_dataloader = dict(dataset=dict(data_prefix=dict(img='train/')), **loader)
val_dataloader = dict(dataset=dict(data_prefix=dict(img='val/')), **loader)
test_dataloader = val_dataloader

epochs = 8
train_cfg = dict(max_epochs=epochs, val_interval=epochs)
param_scheduler = [
    dict(
        type='OneCycleLR',
        eta_max=1e-3,
        total_steps=epochs,
        by_epoch=True,
        convert_to_iter_based=True,
    )
]
default_hooks = dict(
    checkpoint=dict(interval=1, max_keep_ckpts=2),
    visualization=dict(draw=False),
)
