# Plain and four attentions on an eighth of the embedded digits, ten seeds: an
# hour on one core, for whoever wants to see seeds and intervals without any
# download. The ratio is 8 at half the width, so that hidden widths are those
# of a full ResNet-18 at ratio 16.
recipe = 'recipes/resnet18_digits-few.py'
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
seeds = 10
metrics = [dict(key='accuracy/top1', label='top-1, %')]
