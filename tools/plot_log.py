"""Draw the curves of trainings: loss, learning rate and metrics.

    python tools/plot_log.py WORK_DIR... [--keys KEY ...] [--out DIR]

Reads the logs that every training leaves in its work dir. All runs go into
one picture, DIR/curves.png.
"""

from pathlib import Path

from banet.engine.curves import plot_runs, read_run
from banet.utils.cli import make_parser, run
from banet.utils.outfolder import OutFolder


def main(args):
    names = [path.resolve().name for path in args.work_dirs]
    if len(set(names)) < len(names):  # two of the same name
        names = [str(path) for path in args.work_dirs]
    runs = {n: read_run(path) for n, path in zip(names, args.work_dirs)}
    out = OutFolder(args.out, args.force)
    print(plot_runs(runs, out, args.keys))


if __name__ == '__main__':
    parser = make_parser(__doc__)
    parser.add_argument('work_dirs', metavar='WORK_DIR', nargs='+', type=Path)
    parser.add_argument(
        '--keys', nargs='+', help='such as loss bridge/layer1/gate'
    )
    parser.add_argument(
        '--out', type=Path, default=Path('work_dirs', 'plot_log')
    )
    parser.add_argument(
        '--force', action='store_true', help='write into a folder with files'
    )
    run(main, parser)
