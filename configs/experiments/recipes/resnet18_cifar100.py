# mmpretrain's recipe for CIFAR-100, on one GPU: its 8 x 16 images at once.
_base_ = '../../classification/ba-resnet18_8xb16_cifar100.py'

train_dataloader = dict(batch_size=128, persistent_workers=True)
val_dataloader = dict(batch_size=256, persistent_workers=True)
test_dataloader = val_dataloader
train_cfg = dict(val_interval=10)
default_hooks = dict(checkpoint=dict(interval=10, max_keep_ckpts=2))
