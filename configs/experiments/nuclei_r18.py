# Transfer, as the paper does it: each backbone of tiny_imagenet60_r18.py, with
# its own attention, as the start of a detector of cell nuclei (298 images).
# All seeds start from one pretraining, as from a downloaded checkpoint.
_base_ = 'tiny_imagenet60_r18.py'
recipe = 'recipes/mask-rcnn_r18-quarter_nuclei.py'
seeds = 3
metrics = [
    dict(key='coco/bbox_mAP', label='box AP, %', factor=100),
    dict(key='coco/segm_mAP', label='mask AP, %', factor=100),
]
data = 'nuclei_dsb2018'
start = dict(plan='tiny_imagenet60_r18', seed=0)
