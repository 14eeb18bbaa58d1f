# As tiny_imagenet60_r50.py, for a GPU: a ResNet-50 in its full width, hidden
# widths 16 to 128 at the papers' ratio of 16.
_base_ = 'tiny_imagenet60_r50.py'
recipe = 'recipes/resnet50_tiny-imagenet60.py'
networks = {
    name: dict(model=dict(backbone=dict(attention=dict(ratio=16))))
    for name in ('se', 'bav1', 'bav2')
}
