# As resnet18-half_tiny-imagenet60.py, with the blocks of a ResNet-50 of a
# quarter of the width: three features per bridge.
_base_ = 'resnet18-half_tiny-imagenet60.py'
width = 16
model = dict(
    backbone=dict(depth=50, base_channels=width, stem_channels=width),
    head=dict(in_channels=32 * width),
)
