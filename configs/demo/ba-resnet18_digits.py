# Worked example of "my own dataset", classification: scanned handwritten
# digits, one folder per class (tools/prepare_digits.py makes data/digits from
# scikit-learn's 8x8 scans), from scratch, a minute on two cores.
_base_ = '../classification/ba-resnet18_8xb32_in1k.py'

# 1. The classes: the sorted names of the folders in train/.
classes = [str(digit) for digit in range(10)]

# 2. The model. To start from pretrained weights add backbone=dict(
#    init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet18')).
model = dict(head=dict(num_classes=len(classes), topk=(1,)))
data_preprocessor = dict(num_classes=len(classes))

# 3. The data. Pipelines are lists, and lists are replaced, not merged.
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomCrop', crop_size=32, padding=3, padding_mode='edge'),
    dict(type='PackInputs'),
]
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
# _delete_: the base's dataset has arguments that a folder dataset has not.
dataset = dict(_delete_=True, type='CustomDataset', data_root='data/digits')
train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    dataset=dict(data_prefix='train', pipeline=train_pipeline, **dataset),
)
val_dataloader = dict(
    batch_size=64,
    num_workers=1,
    dataset=dict(data_prefix='val', pipeline=test_pipeline, **dataset),
)
test_dataloader = val_dataloader
val_evaluator = dict(topk=(1,))
test_evaluator = val_evaluator

# 4. The schedule.
epochs = 10
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
default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(interval=epochs),
    visualization=dict(rescale_factor=8),
)
randomness = dict(seed=0)
