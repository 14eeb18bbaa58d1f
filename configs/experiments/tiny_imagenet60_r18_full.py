# Classification from scratch, for a GPU: a ResNet-18 in its full width, hidden
# widths 4 to 32 at the papers' ratio of 16.
recipe = 'recipes/resnet18_tiny-imagenet60.py'
networks = {
    name: dict(model=dict(backbone=dict(attention=attention)))
    for name, attention in dict(
        plain=None,
        se=dict(type='SqueezeExcitation', ratio=16),
        eca=dict(type='EfficientChannelAttention'),
        bav1=dict(type='BridgeAttentionV1', ratio=16),
        bav2=dict(type='BridgeAttentionV2', ratio=16),
    ).items()
}
seeds = 10
metrics = [dict(key='accuracy/top1', label='top-1, %')]
data = 'tiny_imagenet60'
