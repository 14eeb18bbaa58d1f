_base_ = 'mmpretrain::efficientnet/efficientnet-b0_8xb32_in1k.py'
custom_imports = dict(imports=['banet'])
model = dict(backbone=dict(type='BAEfficientNet'))
