# As tiny_imagenet60_r18.py, for a GPU: a ResNet-18 in its full width, hidden
# widths 4 to 32 at the papers' ratio of 16.
_base_ = 'tiny_imagenet60_r18.py'
recipe = 'recipes/resnet18_tiny-imagenet60.py'
networks = {
    name: dict(model=dict(backbone=dict(attention=dict(ratio=16))))
    for name in ('se', 'bav1', 'bav2')
}
seeds = 10
