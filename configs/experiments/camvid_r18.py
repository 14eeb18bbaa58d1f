# As nuclei_r18.py, as the start of a segmentor of street scenes (CamVid).
_base_ = 'nuclei_r18.py'
recipe = 'recipes/upernet_r18-quarter_camvid.py'
metrics = [dict(key='mIoU', label='mIoU, %')]
data = 'camvid11'
