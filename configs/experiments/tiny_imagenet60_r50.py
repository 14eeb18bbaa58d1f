# Bottlenecks: as tiny_imagenet60_r18.py, with a ResNet-50 of a quarter of the
# width, hidden widths 16 to 128 at ratio 4.
recipe = 'recipes/resnet50-quarter_tiny-imagenet60.py'
networks = {
    name: dict(model=dict(backbone=dict(attention=attention)))
    for name, attention in dict(
        plain=None,
        se=dict(type='SqueezeExcitation', ratio=4),
        bav1=dict(type='BridgeAttentionV1', ratio=4),
        bav2=dict(type='BridgeAttentionV2', ratio=4),
    ).items()
}
seeds = 3
metrics = [dict(key='accuracy/top1', label='top-1, %')]
data = 'tiny_imagenet60'
