# Does the warm start pay? The plain backbone of tiny_imagenet60_r18.py as the
# start of the nuclei detector: plain, and with BAv2
# warm-started under several recipes: as it is; its learning rate times 10;
# LN in the attention; its norms' running statistics taken over a few batches
# before the training, for norm_eval leaves them at mean 0, variance 1; and
# gates that start at random.
recipe = 'recipes/mask-rcnn_r18-quarter-coslr_nuclei.py'
_bav2 = dict(type='BridgeAttentionV2', ratio=4)
_faster = dict(custom_keys={'.attention': dict(lr_mult=10)})
_calibrated = [dict(type='CalibrationHook')]
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
    'bav2-calibrated': dict(
        model=dict(backbone=dict(attention=_bav2)), custom_hooks=_calibrated
    ),
    'bav2-random': dict(
        model=dict(backbone=dict(attention=_bav2, warm_start=False))
    ),
}
seeds = 3
metrics = [
    dict(key='coco/bbox_mAP', label='box AP, %', factor=100),
    dict(key='coco/segm_mAP', label='mask AP, %', factor=100),
]
data = 'nuclei_dsb2018'
start = dict(plan='tiny_imagenet60_r18', network='plain')
