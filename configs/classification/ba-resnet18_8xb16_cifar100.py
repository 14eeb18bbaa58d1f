# CIFAR-100's recipe of mmpretrain's ResNet-50, for a ResNet-18.
_base_ = 'mmpretrain::resnet/resnet50_8xb16_cifar100.py'
custom_imports = dict(imports=['banet'])
model = dict(
    backbone=dict(type='BAResNet_CIFAR', depth=18), head=dict(in_channels=512)
)
