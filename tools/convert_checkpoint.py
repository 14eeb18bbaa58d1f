"""Rewrite a checkpoint of a (BA-)ResNet under other names.

    python tools/convert_checkpoint.py SRC DST [--to mm|reference|torchvision]

Reads the authors' three formats, torchvision's, timm's and OpenMMLab's, as
.pth or .safetensors, and prints what it recognised.
"""

from banet.checkpoint.convert import convert
from banet.utils.cli import add_trust, make_parser, run


def options():
    parser = make_parser(__doc__)
    parser.add_argument('source', metavar='SRC')
    parser.add_argument('target', metavar='DST')
    parser.add_argument(
        '--to',
        choices=('mm', 'reference', 'torchvision'),
        default='mm',
        help="names: mmpretrain's, the authors' BAv2 repository's or "
        "torchvision's (default: mm)",
    )
    parser.add_argument(
        '--task',
        choices=('cls', 'backbone'),
        default='cls',
        help='with the classifier, or without (default: cls)',
    )
    parser.add_argument(
        '--drop-attention',
        action='store_true',
        help='leave the attention out: another network, plain',
    )
    parser.add_argument(
        '--publish',
        action='store_true',
        help="append 8 digits of the file's sha256 to its name",
    )
    parser.add_argument(
        '--ema',
        action='store_true',
        help='take the moving average of the weights (state_dict_ema)',
    )
    parser.add_argument(
        '--force', action='store_true', help='replace an existing DST'
    )
    add_trust(parser)
    return parser


def main(args):
    checkpoint, written = convert(**vars(args))
    print(f'read {args.source}')
    print(checkpoint.describe())
    left = list(checkpoint.dropped)
    left += sorted({name.split('.')[0] for name in checkpoint.rest})
    if args.task == 'backbone' and checkpoint.classifier:
        left.append('the classifier')
    if args.drop_attention and checkpoint.attention:
        left.append('the attention (this is another network now)')
    if left:
        print(f'left out: {", ".join(left)}')
    print(f'wrote {written}')


if __name__ == '__main__':
    run(main, options())
