# Classification from scratch: five attentions in the same block. The ratio is
# 8 at half the width, so that hidden widths are those of a full ResNet-18
# at ratio 16, 4 to 32: narrower ones starve the attention.
recipe = 'recipes/resnet18-half_tiny-imagenet60.py'
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
seeds = 5
metrics = [dict(key='accuracy/top1', label='top-1, %')]
data = 'tiny_imagenet60'
