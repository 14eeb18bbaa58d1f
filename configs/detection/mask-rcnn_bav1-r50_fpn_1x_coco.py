_base_ = './mask-rcnn_ba-r50_fpn_1x_coco.py'
model = dict(backbone=dict(attention=dict(type='BridgeAttentionV1', ratio=16)))
