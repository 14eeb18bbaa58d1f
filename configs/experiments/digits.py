# Plain and four attentions on the embedded digits: a comparison that anyone
# can repeat in minutes. It shows how the tool works; the task is too easy to
# tell the networks apart.
recipe = '../demo/ba-resnet18_digits.py'
networks = {
    name: dict(model=dict(backbone=dict(attention=attention)))
    for name, attention in dict(
        plain=None,
        se=dict(type='SqueezeExcitation'),
        eca=dict(type='EfficientChannelAttention'),
        bav1=dict(type='BridgeAttentionV1', ratio=16),
        bav2=dict(type='BridgeAttentionV2', ratio=16),
    ).items()
}
seeds = 3
metrics = [dict(key='accuracy/top1', label='top-1, %')]
