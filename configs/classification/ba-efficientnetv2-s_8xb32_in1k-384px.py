_base_ = 'mmpretrain::efficientnet_v2/efficientnetv2-s_8xb32_in1k-384px.py'
custom_imports = dict(imports=['banet'])
model = dict(backbone=dict(type='BAEfficientNetV2'))
