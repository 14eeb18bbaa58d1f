_base_ = [
    './_base_/models/pspnet_ba-r50-d8.py',
    './_base_/datasets/cityscapes.py',
    './_base_/schedules/schedule_80k.py',
    './_base_/default_runtime.py',
]
model = dict(
    data_preprocessor=dict(size=(512, 1024)),
    decode_head=dict(num_classes=19),
    auxiliary_head=dict(num_classes=19),
)
