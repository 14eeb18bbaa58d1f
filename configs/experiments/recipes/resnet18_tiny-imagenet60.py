# From scratch on tiny_imagenet60 (60 classes, 400 + 50 images of 64 x 64
# each) on a GPU. Such small images are read once and kept; crops, flips and
# mixtures are made on the device, batch by batch.
_base_ = '../../classification/ba-resnet18_8xb32_in1k.py'

classes = 60
model = dict(
    backbone=dict(base_channels=64, stem_channels=64),
    head=dict(
        num_classes=classes,
        in_channels=512,
        topk=(1,),
        loss=dict(_delete_=True, type='LabelSmoothLoss', label_smooth_val=0.1),
    ),
    train_cfg=dict(
        augments=dict(
            type='RandomResizedCropFlip',
            area=(0.35, 1),
            then=dict(type='CutMix', alpha=1.0),
        )
    ),
)
data_preprocessor = dict(num_classes=classes)

dataset = dict(
    type='CustomDataset',
    data_root='data/tiny_imagenet60',
    pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')],
)
loader = dict(
    batch_size=128,
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
            ann_file='meta/train.txt', data_prefix='train', **dataset
        ),
    ),
    **loader,
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='InMemoryDataset',
        dataset=dict(ann_file='meta/val.txt', data_prefix='val', **dataset),
    ),
    **loader,
)
test_dataloader = val_dataloader
val_evaluator = dict(topk=(1,))
test_evaluator = val_evaluator

epochs = 40
train_cfg = dict(max_epochs=epochs, val_interval=10)
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.2, momentum=0.9, weight_decay=5e-4)
)
param_scheduler = dict(
    _delete_=True,
    type='OneCycleLR',
    eta_max=0.2,
    total_steps=epochs,
    by_epoch=True,
    convert_to_iter_based=True,
)
env_cfg = dict(cudnn_benchmark=True)
custom_hooks = [dict(type='EpochSeedHook')]
default_hooks = dict(
    logger=dict(interval=94),
    checkpoint=dict(interval=10, max_keep_ckpts=1),
)
