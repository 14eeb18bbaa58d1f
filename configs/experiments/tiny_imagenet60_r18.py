# Classification from scratch: the networks of digits_few.py, whose hidden
# widths are 4 to 32 here: narrower ones starve the attention.
_base_ = 'digits_few.py'
recipe = 'recipes/resnet18-half_tiny-imagenet60.py'
seeds = 5
data = 'tiny_imagenet60'
