# Step 1 of tools/experiment_warm_start.py: a plain ResNet-18 learns half of
# tiny_imagenet60, the first 30 classes (400 + 50 images of 64 x 64 each).
_base_ = '../../classification/ba-resnet18_8xb32_in1k.py'

classes = 30
model = dict(
    backbone=dict(attention=None),
    head=dict(num_classes=classes, topk=(1,)),
)
data_preprocessor = dict(num_classes=classes)
dataset = dict(
    _delete_=True, type='CustomDataset', data_root='data/tiny_imagenet60'
)
train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    dataset=dict(
        ann_file='meta/train.txt',
        data_prefix='train',
        indices=400 * classes,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='RandomCrop', crop_size=64, padding=6),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackInputs'),
        ],
        **dataset,
    ),
)
val_dataloader = dict(
    batch_size=64,
    num_workers=2,
    dataset=dict(
        ann_file='meta/val.txt',
        data_prefix='val',
        indices=50 * classes,
        pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')],
        **dataset,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(topk=(1,))
test_evaluator = val_evaluator

epochs = 6
train_cfg = dict(max_epochs=epochs, val_interval=epochs)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=2e-3, weight_decay=0.05)
)
param_scheduler = dict(
    _delete_=True,
    type='OneCycleLR',
    eta_max=2e-3,
    total_steps=epochs,
    by_epoch=True,
    convert_to_iter_based=True,
)
default_hooks = dict(checkpoint=dict(interval=epochs))
randomness = dict(seed=0)
