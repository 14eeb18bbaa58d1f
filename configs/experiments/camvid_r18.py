# Transfer, as the paper does it: each backbone of tiny_imagenet60_r18.py, with
# its own attention, as the start of a segmentor of street scenes (CamVid).
recipe = 'recipes/upernet_r18-half_camvid.py'
networks = {
    name: dict(model=dict(backbone=dict(attention=attention)))
    for name, attention in dict(
        plain=None,
        se=dict(type='SqueezeExcitation', ratio=8),
        eca=dict(type='EfficientChannelAttention'),
        bav1=dict(type='BridgeAttentionV1', ratio=8),
        bav2=dict(type='BridgeAttentionV2', ratio=8),
    ).items()
}
seeds = 3
metrics = [
    dict(key='mIoU', label='mIoU, %'),
]
data = 'camvid11'
start = dict(plan='tiny_imagenet60_r18')
