_base_ = 'mmpretrain::resnext/resnext50-32x4d_8xb32_in1k.py'
custom_imports = dict(imports=['banet'])
model = dict(backbone=dict(type='BAResNeXt'))
