"""Fold a trained model's backbone into its exact inference form.

    python tools/deploy.py CONFIG CHECKPOINT OUT.pth

Writes OUT.pth and OUT.py, the config that loads it. Before, both forms are
compared on random input.
"""

from pathlib import Path

import torch

from banet.apis.config import load_config
from banet.apis.model import deployable, image_channels, load_model
from banet.checkpoint.files import write
from banet.checkpoint.locate import locate
from banet.utils.cli import add_model, make_parser, run
from banet.utils.errors import CheckpointError
from banet.utils.files import check_apart, check_target, put_whole

SIZE = 224, 256  # a Swin needs its windows on the smallest map, too
TOLERANCE = 1e-4  # relative, float32; a wrong fold is off by far more


def main(args):
    target = Path(args.out)
    written = target.with_suffix('.py')
    if target == written:
        raise CheckpointError(
            f'{target} is the name of the config that is written beside the '
            f'checkpoint: name {target.with_suffix(".pth")}.'
        )
    check_target(target, args.force)
    check_target(written, args.force)
    check_apart(target, locate(args.checkpoint))
    if written.exists() and 'deploy=True' not in written.read_text():
        raise CheckpointError(  # such as one that CONFIG inherits
            f'{written} is no config of a folded model, and would be '
            f'replaced: name another file than {target}.'
        )
    config = load_config(args.config)
    model, meta = load_model(config, args.checkpoint, args.trust)
    backbone = deployable(model)
    x = torch.randn(2, image_channels(backbone), *SIZE)
    with torch.no_grad():
        expected = [out.clone() for out in backbone(x)]
        try:
            backbone.switch_to_deploy()
        except ValueError as error:
            raise CheckpointError(f'{args.config}: {error}') from error
        errors = [
            ((a - b).norm() / b.norm()).item()
            for a, b in zip(backbone(x), expected, strict=True)
        ]
    if not max(errors) < TOLERANCE:
        raise CheckpointError(
            f'the folded backbone differs by {max(errors):.1e} (relative); '
            'nothing was written. Are there NaN in the checkpoint?'
        )
    config.model.backbone.deploy = True
    config.model.backbone.init_cfg = None
    # Upstream's inferencers build the model from the config in the meta.
    meta['cfg'] = config.pretty_text
    write(dict(meta=meta, state_dict=model.state_dict()), target, args.force)
    put_whole(meta['cfg'].encode(), written)
    print(f'largest relative difference of a stage: {max(errors):.1e}')
    print(f'wrote {target} and {written}')


if __name__ == '__main__':
    parser = make_parser(__doc__)
    add_model(parser)
    parser.add_argument('out', metavar='OUT.pth')
    parser.add_argument(
        '--force', action='store_true', help='replace existing files'
    )
    run(main, parser)
