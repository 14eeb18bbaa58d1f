_base_ = './bav1-resnet50_2xb128-coslr-100e_in1k.py'
model = dict(backbone=dict(depth=101))
