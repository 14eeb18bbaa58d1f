_base_ = './ba-resnet50_4xb256-adamw-300e_in1k.py'
model = dict(backbone=dict(depth=101))
