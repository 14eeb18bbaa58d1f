# As nuclei_r18_full.py, as the start of a segmentor of street scenes (CamVid).
_base_ = 'nuclei_r18_full.py'
recipe = 'recipes/upernet_r18_camvid.py'
metrics = [dict(key='mIoU', label='mIoU, %')]
data = 'camvid11'
