_base_ = 'mmpretrain::mobilenet_v3/mobilenet-v3-large_8xb128_in1k.py'
custom_imports = dict(imports=['banet'])
model = dict(backbone=dict(type='BAMobileNetV3'))
