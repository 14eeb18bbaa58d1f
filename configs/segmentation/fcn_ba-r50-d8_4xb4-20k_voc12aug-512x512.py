_base_ = [
    './_base_/models/fcn_ba-r50-d8.py',
    './_base_/datasets/voc12aug.py',
    './_base_/schedules/schedule_20k.py',
    './_base_/default_runtime.py',
]
model = dict(
    data_preprocessor=dict(size=(512, 512)),
    decode_head=dict(num_classes=21),
    auxiliary_head=dict(num_classes=21),
)
