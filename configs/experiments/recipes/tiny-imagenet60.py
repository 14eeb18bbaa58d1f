# From scratch on tiny_imagenet60 (60 classes, 400 + 50 images of 64 x 64
# each): what its recipes have in common.
_base_ = '../../classification/ba-resnet18_8xb32_in1k.py'

classes = 60
width = 16
model = dict(
    backbone=dict(base_channels=width, stem_channels=width),
    head=dict(
        num_classes=classes,
        in_channels=8 * width,
        topk=(1,),
        loss=dict(_delete_=True, type='LabelSmoothLoss', label_smooth_val=0.1),
    ),
)
data_preprocessor = dict(num_classes=classes)
dataset = dict(
    _delete_=True, type='CustomDataset', data_root='data/tiny_imagenet60'
)
# One worker, whose random numbers depend on the seed alone: runs of one seed
# see the same crops in the same order, whatever network they train.
loader = dict(batch_size=128, num_workers=1, persistent_workers=True)
train_dataloader = dict(
    dataset=dict(
        ann_file='meta/train.txt',
        data_prefix='train',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(
                type='RandomResizedCrop', scale=64, crop_ratio_range=(0.35, 1)
            ),
            dict(type='RandomFlip', prob=0.5),
            dict(type='ColorJitter', brightness=0.3),
            dict(type='PackInputs'),
        ],
        **dataset,
    ),
    **loader,
)
val_dataloader = dict(
    dataset=dict(
        ann_file='meta/val.txt',
        data_prefix='val',
        pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')],
        **dataset,
    ),
    **loader,
)
test_dataloader = val_dataloader
val_evaluator = dict(topk=(1,))
test_evaluator = val_evaluator

epochs = 20
train_cfg = dict(max_epochs=epochs, val_interval=5)
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
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(interval=1, max_keep_ckpts=2),
)
