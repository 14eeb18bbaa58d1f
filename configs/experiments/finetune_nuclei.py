# As finetune_camvid.py, as the start of the nuclei detector, whose norms are
# in eval mode: there the statistics of the attention's norms can be taken over
# a few batches before the training, which else stay at mean 0, variance 1.
_base_ = 'finetune_camvid.py'
recipe = 'recipes/mask-rcnn_r18-quarter-coslr_nuclei.py'
networks = {
    'bav2-calibrated': dict(
        model=dict(
            backbone=dict(attention=dict(type='BridgeAttentionV2', ratio=4))
        ),
        custom_hooks=[dict(type='CalibrationHook')],
    )
}
metrics = [
    dict(key='coco/bbox_mAP', label='box AP, %', factor=100),
    dict(key='coco/segm_mAP', label='mask AP, %', factor=100),
]
data = 'nuclei_dsb2018'
