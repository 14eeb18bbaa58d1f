"""Train networks under one recipe, with seeds, and compare them.

    python tools/compare.py PLAN [--data DIR] [--jobs N] [--device D]

PLAN, such as configs/experiments/digits.py, lists networks, seeds, the
recipe's config and metrics; its first lines say what it is for. Each run goes
through tools/train.py and becomes a row of results/PLAN.csv; runs that have a
row are skipped, and a run that was cut off goes on where it was. Then
results/PLAN.md and .png are written: mean, deviation, and the difference to
the first network, paired by seed, with its 95 % interval. Two rows made under
different recipes, starts, data, versions or devices are never averaged.
"""

import signal
import sys
from pathlib import Path

from banet.compare.device import check_device, default_threads
from banet.compare.plan import choose, read_plan
from banet.compare.session import Session
from banet.utils.cli import at_least_one, make_parser, run


def main(args):
    plan = read_plan(args.plan, args.data)
    networks = choose('network', args.networks, plan.networks)
    seeds = choose('seed', args.seeds, plan.seeds)
    session = Session(
        plan,
        args.results,
        args.work_dir.resolve(),
        args.jobs,
        args.threads or default_threads(args.jobs),
        check_device(args.device),
    )
    if not args.show:
        runs = session.left(networks, seeds)
        if not runs:
            print(
                f'nothing to train: {session.csv} has all rows. To train them '
                'again, name another folder with --results.',
                file=sys.stderr,
            )
        # A killed comparison takes its trainings along.
        signal.signal(
            signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM)
        )
        try:
            session.run(runs)
        finally:
            session.show()
    elif not session.show():
        print(f'{session.csv} has no rows yet')


if __name__ == '__main__':
    parser = make_parser(__doc__)
    parser.add_argument('plan', metavar='PLAN', type=Path)
    parser.add_argument(
        '--data', type=Path, help="folder that holds the plan's images"
    )
    parser.add_argument(
        '--jobs', type=at_least_one, default=1, help='runs at a time'
    )
    parser.add_argument('--threads', type=at_least_one, help='of each run')
    parser.add_argument('--device', help='cpu, cuda or cuda:0')
    parser.add_argument('--networks', nargs='+', help='only these')
    parser.add_argument('--seeds', nargs='+', type=int, help='only these')
    parser.add_argument('--results', type=Path, default=Path('results'))
    parser.add_argument(
        '--work-dir', type=Path, default=Path('work_dirs', 'compare')
    )
    parser.add_argument(
        '--show', action='store_true', help='train nothing, write the table'
    )
    run(main, parser)
