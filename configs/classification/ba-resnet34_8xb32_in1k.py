_base_ = 'mmpretrain::resnet/resnet34_8xb32_in1k.py'
custom_imports = dict(imports=['banet'])
model = dict(backbone=dict(type='BAResNet'))
