# What upstream's transformers and ConvNeXts have in the place of SGD's
# schedule; the optimizer is each one's own.
_base_ = './schedule_160k.py'
param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500
    ),
    dict(
        type='PolyLR',
        power=1.0,
        begin=1500,
        end=160000,
        eta_min=0.0,
        by_epoch=False,
    ),
]
