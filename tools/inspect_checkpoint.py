"""Tell what a checkpoint of a (BA-)ResNet holds, without running code in it.

python tools/inspect_checkpoint.py FILE [--trust]
"""

from banet.checkpoint.formats import open_checkpoint
from banet.utils.cli import add_trust, make_parser, run


def main(args):
    print(open_checkpoint(args.file, args.trust).describe())


if __name__ == '__main__':
    parser = make_parser(__doc__)
    parser.add_argument('file', metavar='FILE')
    add_trust(parser)
    run(main, parser)
