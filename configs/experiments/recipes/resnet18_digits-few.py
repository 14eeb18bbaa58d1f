# The digits of the demo, learnt from an eighth of the training scans, about 18
# of each digit: too few for a perfect score, so that networks can differ. Half
# the width, for the sake of time.
_base_ = '../../demo/ba-resnet18_digits.py'

width = 32
model = dict(
    backbone=dict(base_channels=width, stem_channels=width),
    head=dict(in_channels=8 * width),
)

train_dataloader = dict(
    batch_size=32,
    dataset=dict(
        _delete_=True,
        type='KFoldDataset',
        num_splits=8,
        fold=0,
        test_mode=True,
        seed=0,
        dataset=dict(
            type='CustomDataset',
            data_root='data/digits',
            data_prefix='train',
            pipeline={{_base_.train_pipeline}},
        ),
    ),
)
epochs = 40
train_cfg = dict(max_epochs=epochs, val_interval=epochs)
param_scheduler = dict(total_steps=epochs)
default_hooks = dict(checkpoint=dict(interval=epochs))
