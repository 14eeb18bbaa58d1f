# For everybody with one GPU: CIFAR-100 from scratch by mmpretrain's own
# recipe, 200 epochs. Where the images come from: docs/results.md.
_base_ = 'tiny_imagenet60_r18_full.py'
recipe = 'recipes/resnet18_cifar100.py'
data = 'cifar100'
seeds = 5
