# As mask-rcnn_r18-quarter-coslr_nuclei.py, for the CamVid segmentor.
_base_ = 'upernet_r18-quarter_camvid.py'

warmup, iterations = 450, 1500
param_scheduler = [
    dict(type='LinearLR', start_factor=0.04, end=warmup, by_epoch=False),
    dict(
        type='CosineAnnealingLR',
        begin=warmup,
        end=iterations,
        T_max=iterations - warmup,
        by_epoch=False,
    ),
]
