_base_ = './ba-resnet101_8xb32_in1k.py'
model = dict(backbone=dict(attention=dict(type='BridgeAttentionV1', ratio=16)))
