# As resnet18_tiny-imagenet60.py, for slow cores: a quarter of the width, half
# as many epochs, and for so small a network crops and flips alone.
_base_ = 'resnet18_tiny-imagenet60.py'

width = 16
model = dict(
    backbone=dict(base_channels=width, stem_channels=width),
    head=dict(in_channels=8 * width),
    train_cfg=dict(
        augments=dict(
            _delete_=True, type='RandomResizedCropFlip', area=(0.35, 1)
        )
    ),
)
epochs = 20
train_cfg = dict(max_epochs=epochs, val_interval=5)
param_scheduler = dict(total_steps=epochs)
default_hooks = dict(checkpoint=dict(interval=5))
