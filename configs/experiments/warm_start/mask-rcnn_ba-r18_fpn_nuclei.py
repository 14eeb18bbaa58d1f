# Step 2 of tools/experiment_warm_start.py: the nuclei detector of the demo,
# but pretrained, and trained as mmdet does that: BN in eval mode, stem and
# first stage frozen.
_base_ = '../../demo/mask-rcnn_ba-r18_fpn_nuclei.py'

model = dict(
    backbone=dict(
        frozen_stages=1,
        norm_eval=True,
        norm_cfg=dict(_delete_=True, type='BN', requires_grad=True),
        attention=dict(_delete_=True, type='BridgeAttentionV2', ratio=16),
        init_cfg=dict(
            _delete_=True, type='Pretrained', checkpoint='', prefix='backbone.'
        ),
    )
)

epochs = 8
train_cfg = dict(max_epochs=epochs, val_interval=epochs)
param_scheduler = [
    dict(
        type='OneCycleLR',
        eta_max=1e-3,
        total_steps=48 * epochs,
        by_epoch=False,
    )
]
default_hooks = dict(checkpoint=dict(interval=epochs, save_optimizer=False))
