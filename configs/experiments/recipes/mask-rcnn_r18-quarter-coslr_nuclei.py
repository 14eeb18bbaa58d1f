# As mask-rcnn_r18-quarter_nuclei.py, with a schedule that multiplies each
# parameter's own learning rate: OneCycleLR sets all of them to its eta_max,
# whatever paramwise_cfg says.
_base_ = 'mask-rcnn_r18-quarter_nuclei.py'

warmup, epochs = 2, 8
iterwise = dict(by_epoch=True, convert_to_iter_based=True)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.04, end=warmup, **iterwise),
    dict(
        type='CosineAnnealingLR',
        begin=warmup,
        end=epochs,
        T_max=epochs - warmup,
        **iterwise,
    ),
]
