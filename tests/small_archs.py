"""Small archs of mmpretrain's networks, as the large ones, but for tests.

Importing this adds ``thin`` and ``pocket`` to what mmpretrain's own and our
EfficientNet, ``thin`` to what MobileNetV3 and EfficientNetV2 know by name.
"""

import mmpretrain.models.backbones as upstream

# mmpretrain's smallest have 16 blocks and 4 million weights; these have all
# kinds of blocks. Kernel, width, SE's ratio, stride, expansion, kind:
upstream.EfficientNet.layer_settings = {
    **upstream.EfficientNet.layer_settings,
    't': [
        [[3, 16, 0, 2, 0, -1]],
        [[3, 16, 4, 1, 1, 0]],
        [[3, 16, 4, 2, 6, 0], [3, 16, 4, 1, 6, 0]],
        [[5, 24, 4, 2, 6, 0]],
        [[5, 32, 4, 2, 6, 0]],
        [[1, 64, 0, 1, 0, -1]],
    ],
    'p': [
        [[3, 16, 0, 2, 0, -1]],
        [[3, 16, 0, 1, 3, 1]],
        [[3, 16, 0, 2, 8, 1]],
        [[5, 24, 0, 2, 8, 0], [5, 24, 0, 1, 8, 0]],
        [[5, 32, 0, 2, 8, 0]],
        [[1, 64, 0, 1, 0, -1]],
    ],
}
for name in ('thin', 'pocket'):
    upstream.EfficientNet.arch_settings[name] = (1.0, 1.0, 64)
upstream.MobileNetV3.arch_settings['thin'] = (
    upstream.MobileNetV3.arch_settings['small'][:4]
)
upstream.EfficientNetV2.arch_settings['thin'] = [
    [1, 3, 1, 1, 16, 16, 0.0, -1],
    [1, 3, 2, 4, 16, 16, 0.0, 0],
    [2, 3, 2, 4, 16, 24, 0.25, 1],
    [1, 3, 2, 6, 24, 32, 0.25, 1],
    [1, 1, 1, 1, 32, 64, 0.0, -2],
]
REGNET = dict(w0=16, wa=16.0, wm=1.8, group_w=8, depth=5, bot_mul=1.0)
SWIN = dict(embed_dims=16, depths=[2, 1, 1, 1], num_heads=[1, 1, 2, 2])
CONVNEXT = dict(depths=[1, 2, 1, 1], channels=[16, 16, 32, 32])
