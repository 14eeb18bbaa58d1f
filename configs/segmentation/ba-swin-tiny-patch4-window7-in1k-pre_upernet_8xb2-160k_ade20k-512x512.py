_base_ = [
    './_base_/models/upernet_ba-swin-t.py',
    './_base_/datasets/ade20k.py',
    './_base_/schedules/schedule_warm-up-160k.py',
    './_base_/default_runtime.py',
]
model = dict(
    data_preprocessor=dict(size=(512, 512)),
    decode_head=dict(num_classes=150),
    auxiliary_head=dict(num_classes=150),
)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(
        type='AdamW', lr=0.00006, betas=(0.9, 0.999), weight_decay=0.01
    ),
    # No weight decay for position embeddings and norms of the backbone; the
    # attention's norms are among them by their name.
    paramwise_cfg=dict(
        custom_keys={
            'absolute_pos_embed': dict(decay_mult=0.0),
            'relative_position_bias_table': dict(decay_mult=0.0),
            'norm': dict(decay_mult=0.0),
        }
    ),
)
train_dataloader = dict(batch_size=2)
