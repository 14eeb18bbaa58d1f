_base_ = 'mmpretrain::resnet/resnet50_8xb256-rsb-a3-100e_in1k.py'
custom_imports = dict(imports=['banet'])
model = dict(backbone=dict(type='BAResNet'))
