_base_ = 'mmpretrain::convnext_v2/convnext-v2-tiny_32xb32_in1k.py'
custom_imports = dict(imports=['banet'])
model = dict(backbone=dict(type='BAConvNeXt'))
