_base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
custom_imports = dict(imports=['banet'])
model = dict(backbone=dict(type='BAResNet'))
