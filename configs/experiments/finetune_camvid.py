# As finetune_nuclei.py, as the start of the CamVid segmentor.
_base_ = 'finetune_nuclei.py'
recipe = 'recipes/upernet_r18-quarter-coslr_camvid.py'
metrics = [dict(key='mIoU', label='mIoU, %')]
data = 'camvid11'
