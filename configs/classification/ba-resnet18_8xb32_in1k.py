_base_ = 'mmpretrain::resnet/resnet18_8xb32_in1k.py'
custom_imports = dict(imports=['banet'])
model = dict(backbone=dict(type='BAResNet'))
