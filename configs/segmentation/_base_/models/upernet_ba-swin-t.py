_base_ = './upernet_ba-r50.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='BASwinTransformer',
        arch='tiny',
        drop_path_rate=0.3,
        out_indices=(0, 1, 2, 3),
        pad_small_map=True,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='torchvision://swin_t.imagenet1k_v1',
        ),
    ),
    decode_head=dict(in_channels=[96, 192, 384, 768]),
    auxiliary_head=dict(in_channels=384),
)
