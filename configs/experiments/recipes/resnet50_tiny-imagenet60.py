# As resnet18_tiny-imagenet60.py, with the blocks of a ResNet-50: three
# features per bridge.
_base_ = 'resnet18_tiny-imagenet60.py'
model = dict(backbone=dict(depth=50), head=dict(in_channels=2048))
