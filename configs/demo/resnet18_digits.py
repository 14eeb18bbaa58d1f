# The plain ResNet-18 beside ba-resnet18_digits.py, to compare with: without
# attention BAResNet is mmpretrain's ResNet.
_base_ = 'ba-resnet18_digits.py'
model = dict(backbone=dict(attention=None))
