_base_ = 'mmpretrain::regnet/regnetx-4.0gf_8xb64_in1k.py'
custom_imports = dict(imports=['banet'])
model = dict(backbone=dict(type='BARegNet'))
