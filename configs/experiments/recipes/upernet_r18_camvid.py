# As upernet_r18-quarter_camvid.py, for a GPU: the full width.
_base_ = 'upernet_r18-quarter_camvid.py'

model = dict(
    backbone=dict(base_channels=64, stem_channels=64),
    decode_head=dict(in_channels=[64, 128, 256, 512]),
    auxiliary_head=dict(in_channels=256),
)
