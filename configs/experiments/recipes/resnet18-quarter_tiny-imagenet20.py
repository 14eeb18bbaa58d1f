# From scratch on the first 20 classes of tiny_imagenet60 (400 + 50 images of
# 64 x 64 each): a ResNet-18 of a quarter of the width, for machines on which
# resnet18-half_tiny-imagenet60.py takes hours.
_base_ = 'resnet18-half_tiny-imagenet60.py'
classes = 20
width = 16
model = dict(
    backbone=dict(base_channels=width, stem_channels=width),
    head=dict(num_classes=classes, in_channels=8 * width),
)
data_preprocessor = dict(num_classes=classes)
# The lists are sorted by class.
train_dataloader = dict(dataset=dict(indices=400 * classes))
val_dataloader = dict(dataset=dict(indices=50 * classes))
test_dataloader = val_dataloader
epochs = 16
train_cfg = dict(max_epochs=epochs, val_interval=epochs // 4)
param_scheduler = dict(total_steps=epochs)
