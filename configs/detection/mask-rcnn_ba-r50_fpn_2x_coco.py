_base_ = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_2x_coco.py'
custom_imports = dict(imports=['banet'])
model = dict(backbone=dict(type='BAResNet'))
