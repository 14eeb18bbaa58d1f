# As mask-rcnn_r18-quarter_nuclei.py, for a GPU: the full width, four images
# per iteration.
_base_ = 'mask-rcnn_r18-quarter_nuclei.py'

model = dict(
    backbone=dict(base_channels=64, stem_channels=64),
    neck=dict(in_channels=[64, 128, 256, 512]),
)
train_dataloader = dict(batch_size=4)
epochs = 12
train_cfg = dict(max_epochs=epochs, val_interval=epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(total_steps=epochs)
