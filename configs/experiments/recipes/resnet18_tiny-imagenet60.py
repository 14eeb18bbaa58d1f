# From scratch on tiny_imagenet60 on a GPU: a ResNet-18 in its full width. Such
# small images are read once and kept; crops, flips and mixtures are made on
# the device, batch by batch. CutMix keeps the training loss above that of
# validation to the end.
_base_ = 'tiny-imagenet60.py'

model = dict(
    backbone=dict(base_channels=64, stem_channels=64),
    head=dict(in_channels=512),
    train_cfg=dict(
        augments=dict(
            type='RandomResizedCropFlip',
            area=(0.35, 1),
            then=dict(type='CutMix', alpha=1.0),
        )
    ),
)
kept = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
loader = dict(
    num_workers=0,
    persistent_workers=False,
    pin_memory=False,
    collate_fn=dict(type='default_collate'),
)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='InMemoryDataset',
        dataset=dict(
            type='CustomDataset',
            data_root='data/tiny_imagenet60',
            ann_file='meta/train.txt',
            data_prefix='train',
            pipeline=kept,
        ),
    ),
    **loader,
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='InMemoryDataset',
        dataset=dict(
            type='CustomDataset',
            data_root='data/tiny_imagenet60',
            ann_file='meta/val.txt',
            data_prefix='val',
            pipeline=kept,
        ),
    ),
    **loader,
)
test_dataloader = val_dataloader

epochs = 40
train_cfg = dict(max_epochs=epochs, val_interval=10)
param_scheduler = dict(total_steps=epochs)
env_cfg = dict(cudnn_benchmark=True)
custom_hooks = [dict(type='EpochSeedHook')]
default_hooks = dict(
    logger=dict(interval=94),
    checkpoint=dict(interval=10, max_keep_ckpts=1),
)
