# The recipe of the BAv1 paper's ImageNet results (arXiv 2112.04150 and its
# reference code). Not known: where the warm-up starts and whether the cosine's
# clock includes it; here from lr / 1000, and from the end of the warm-up.
_base_ = [
    'mmpretrain::_base_/models/resnet50_label_smooth.py',
    'mmpretrain::_base_/datasets/imagenet_bs32.py',
    'mmpretrain::_base_/schedules/imagenet_bs256_coslr.py',
    'mmpretrain::_base_/default_runtime.py',
]
custom_imports = dict(imports=['banet'])
model = dict(
    backbone=dict(
        type='BAResNet', attention=dict(type='BridgeAttentionV1', ratio=16)
    )
)
train_dataloader = dict(batch_size=128)
val_dataloader = dict(batch_size=128)
test_dataloader = val_dataloader
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-3,
        begin=0,
        end=5,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR',
        T_max=95,
        eta_min=0,
        begin=5,
        end=100,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
