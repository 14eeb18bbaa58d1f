"""Count parameters and multiply-adds (MACs) of a config's model, per part.

    python tools/get_flops.py CONFIG [--shape 800 1344]

Classifier: all of it; detector: backbone and neck; segmentor: backbone and
decode head. MACs are those of convs and linears, one image, counted by
mmengine.
"""

import torch

from banet.apis.config import ConfigError, load_config
from banet.apis.model import build_model, image_channels
from banet.benchmark.complexity import Counted, macs_by_module, parameters
from banet.utils.cli import make_parser, run

SHAPES = dict(mmpretrain=(224, 224), mmdet=(800, 1344), mmseg=(512, 512))
STRIDE = 32


def rows(model):
    """Names of what is listed: the backbone's children, and the rest."""
    return [
        *(f'backbone.{name}' for name, _ in model.backbone.named_children()),
        *(name for name, _ in model.named_children()),
        '',
    ]


def main(args):
    config = load_config(args.config)
    crop = config.get('crop_size')
    shape = args.shape or crop or SHAPES.get(config.get('default_scope'))
    if shape is None:
        raise ConfigError(f'{args.config} names no size: add --shape H W.')
    if min(shape) < STRIDE:
        raise ConfigError(
            f'--shape {shape[0]} {shape[1]} is smaller than the stride of '
            f'the network, {STRIDE}.'
        )
    if config.get('model', {}).get('backbone') is None:
        raise ConfigError(
            f'{args.config} has no model.backbone: name a config of a '
            'classifier, detector or segmentor.'
        )
    model = Counted(build_model(config)).eval()
    channels = image_channels(model.backbone)
    macs = macs_by_module(model, torch.zeros(1, channels, *shape))
    modules = dict(model.named_modules())
    print(f'{args.config}, one image of {shape[0]} x {shape[1]}')
    print(f'{"part":26}{"params":>14}{"MACs":>20}')
    for name in rows(model):
        params = parameters(modules[name])
        if params:
            print(f'{name or "total":26}{params:14,}{macs.get(name, 0):20,}')


if __name__ == '__main__':
    parser = make_parser(__doc__)
    parser.add_argument('config', metavar='CONFIG')
    parser.add_argument('--shape', type=int, nargs=2, metavar=('H', 'W'))
    run(main, parser)
