# Classification from scratch, for two slow cores. The ratio is 4 at a quarter
# of the width, so that hidden widths, 4 to 32, are those of a full ResNet-18
# at ratio 16: narrower ones starve the attention.
recipe = 'recipes/resnet18-quarter_tiny-imagenet60.py'
networks = {
    name: dict(model=dict(backbone=dict(attention=attention)))
    for name, attention in dict(
        plain=None,
        se=dict(type='SqueezeExcitation', ratio=4),
        eca=dict(type='EfficientChannelAttention'),
        bav1=dict(type='BridgeAttentionV1', ratio=4),
        bav2=dict(type='BridgeAttentionV2', ratio=4),
    ).items()
}
seeds = 5
metrics = [dict(key='accuracy/top1', label='top-1, %')]
data = 'tiny_imagenet60'
