"""Time plain, SE, BAv1, BAv2 and folded BAv2 ResNets side by side.

    python tools/benchmark.py --depth 50 --batch 1 8 --mode infer
    python tools/benchmark.py --config configs/detection/....py --mode train

All models stand in one process and take turns, so that a busy machine slows
all of them alike: compare the ratios to the plain network, not the times.
For inference every model's norms are fused into its convs. With --config the
whole model is timed: its predictions or its training step, on random images
and weights; detectors of two stages get the same proposals.
Backbones need no compiled ops of mmcv's. --suite cpu or gpu runs the whole
series that docs/benchmark.md shows, beside the goals.
"""

from banet.benchmark import (
    BenchmarkError,
    DEVICES,
    NETWORKS,
    plot,
    run_suite,
    SUITES,
    table,
    write_json,
)
from banet.benchmark import run as compare
from banet.benchmark.runtimes import RUNTIMES
from banet.utils.cli import make_parser, run
from banet.utils.files import check_target

SUITE_OPTIONS = 'suite', 'device', 'repeats', 'threads', 'out', 'force'


def options():
    parser = make_parser(__doc__)
    add = parser.add_argument
    add('--config', help='time this whole model, not a backbone')
    add('--depth', type=int, help='18, 34, 50 (default), 101 or 152')
    add('--models', nargs='+', choices=NETWORKS, default=None)
    add('--batch', type=int, nargs='+', default=[8])
    add('--size', nargs='+', default=['224'], help='pixels, or HxW')
    add('--mode', choices=('infer', 'train'), default='infer')
    add('--dtype', choices=('fp32', 'bf16', 'fp16'), default='fp32')
    add('--channels-last', action='store_true')
    add('--runtime', choices=RUNTIMES, default='eager', help='what runs them')
    add('--cuda-graph', action='store_true', help='replay a CUDA graph')
    add('--norm-eval', action='store_true', help='train with norms in eval')
    add('--threads', type=int, help='of the CPU')
    add('--device', default='cpu', help='cpu, cuda, cuda:1, ...')
    add('--repeats', type=int, default=20, help='timed rounds')
    add('--suite', choices=SUITES, help='the whole series for such a device')
    add('--out', help='json file for the results')
    add('--plot', help='PNG of time over batch and over image size')
    add('--force', action='store_true', help='replace existing files')
    return parser


def main(args):
    if args.suite:
        return suite(args)
    results = measured(args)
    print(table(results))
    if args.out:
        write_json(results, args.out)
    if args.plot:
        plot(results, args.plot)


def suite(args):
    """All cases, with this call's device, threads and rounds."""
    if args.out:
        check_target(args.out, args.force)
    parser = options()
    parser.set_defaults(**dict.fromkeys(vars(args)))
    given = {k: v for k, v in vars(parser.parse_args()).items() if v}
    own = [
        f'--{name.replace("_", "-")}'
        for name in given
        if name not in SUITE_OPTIONS
    ]
    if own:
        raise BenchmarkError(
            f'--suite {args.suite} has its own {", ".join(own)} in every '
            'case: leave that out, or run one case by its command.'
        )
    more = ['--repeats', str(args.repeats)]
    more += ['--threads', str(args.threads)] if args.threads else []
    if 'device' in given:
        if args.device.partition(':')[0] != DEVICES[args.suite]:
            raise BenchmarkError(
                f'--suite {args.suite} is for {DEVICES[args.suite]}, not for '
                f'--device {args.device}: name the other suite.'
            )
        more += ['--device', args.device]

    def keep(found):
        if args.out:
            write_json(found, args.out)

    run_suite(args.suite, options(), more, measured, keep)


def measured(args):
    """Results of one run."""
    if args.models is None:
        absent = {'bav2-compiled', 'bav2-straight' if args.config else ''}
        absent.add('bav2-deploy' if args.mode == 'train' else '')
        args.models = [name for name in NETWORKS if name not in absent]
    for path in filter(None, (args.out, args.plot)):
        check_target(path, args.force)
    return compare(args)


if __name__ == '__main__':
    run(main, options())
