# Bottlenecks, for a GPU: as tiny_imagenet60_r18_full.py, with a ResNet-50,
# hidden widths 16 to 128 at the papers' ratio of 16.
recipe = 'recipes/resnet50_tiny-imagenet60.py'
networks = {
    name: dict(model=dict(backbone=dict(attention=attention)))
    for name, attention in dict(
        plain=None,
        se=dict(type='SqueezeExcitation', ratio=16),
        bav1=dict(type='BridgeAttentionV1', ratio=16),
        bav2=dict(type='BridgeAttentionV2', ratio=16),
    ).items()
}
seeds = 3
metrics = [dict(key='accuracy/top1', label='top-1, %')]
data = 'tiny_imagenet60'
