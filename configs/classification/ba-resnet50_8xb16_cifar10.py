_base_ = 'mmpretrain::resnet/resnet50_8xb16_cifar10.py'
custom_imports = dict(imports=['banet'])
model = dict(backbone=dict(type='BAResNet_CIFAR'))
