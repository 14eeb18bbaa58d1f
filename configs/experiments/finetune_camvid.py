# Does the warm start pay? The plain backbone of tiny_imagenet60_r18.py as the
# start of the CamVid segmentor: plain, and with BAv2 warm-started under
# several recipes: as it is; its learning rate times 10; LN in the attention;
# and gates that start at random.
recipe = 'recipes/upernet_r18-quarter-coslr_camvid.py'
_bav2 = dict(type='BridgeAttentionV2', ratio=4)
_faster = dict(custom_keys={'.attention': dict(lr_mult=10)})
networks = {
    'plain': dict(model=dict(backbone=dict(attention=None))),
    'bav2': dict(model=dict(backbone=dict(attention=_bav2))),
    'bav2-lr10': dict(
        model=dict(backbone=dict(attention=_bav2)),
        optim_wrapper=dict(paramwise_cfg=_faster),
    ),
    'bav2-ln': dict(
        model=dict(
            backbone=dict(attention=dict(_bav2, norm_cfg=dict(type='LN')))
        )
    ),
    'bav2-random': dict(
        model=dict(backbone=dict(attention=_bav2, warm_start=False))
    ),
}
seeds = 3
metrics = [dict(key='mIoU', label='mIoU, %')]
data = 'camvid11'
start = dict(plan='tiny_imagenet60_r18', network='plain')
