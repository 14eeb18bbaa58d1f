"""Look inside of a trained network.

    python tools/explain.py bridge CONFIG CHECKPOINT [--images IMAGES]
    python tools/explain.py cam CONFIG CHECKPOINT IMAGES [--layer LAYER]
    python tools/explain.py features CONFIG CHECKPOINT IMAGES [--layer LAYER]

bridge: which layers weigh most in each block's attention; with images also
how it gates them. cam: where the network looks, for a class or a box.
features: what its layers see. IMAGES: an image, a folder, a quoted glob, or a
video. Each takes --help.
"""

import sys
from pathlib import Path

from banet.apis.inference import load
from banet.data.sources import open_source
from banet.explain.cam import METHODS
from banet.explain.report import report_bridge, report_cam, report_features
from banet.utils.cli import add_model, at_least_one, make_parser, run
from banet.utils.outfolder import OutFolder


def bridge(args, predictor, source, out):
    return report_bridge(predictor, out, source, args.batch, args.score)


def cam(args, predictor, source, out):
    predictors = [predictor]
    if args.versus:
        predictors.append(load(*args.versus, args.device, args.trust))
    return report_cam(
        predictors,
        source,
        out,
        args.layer,
        args.method,
        args.classes,
        args.most,
        args.score,
    )


def features(args, predictor, source, out):
    return report_features(predictor, source, out, args.layer, args.channels)


def main(args):
    source = open_source(args.images) if args.images else None
    default = Path('work_dirs', f'explain-{args.what}', Path(args.config).stem)
    inputs = source.paths if source else []
    out = OutFolder(args.out or default, args.force, inputs)
    predictor = load(args.config, args.checkpoint, args.device, args.trust)
    written = list(args.report(args, predictor, source, out))
    print(*written or ['nothing to show: nothing was found'], sep='\n')
    skipped = source.skipped if source else []
    for name, reason in skipped:
        print(f'skipped {name}: {reason}', file=sys.stderr)
    return bool(skipped)


def options():
    parser = make_parser(__doc__)
    kinds = parser.add_subparsers(dest='what', required=True)
    for report in (bridge, cam, features):
        add = kinds.add_parser(report.__name__)
        add.set_defaults(report=report)
        add_model(add)
        if report is bridge:
            add.add_argument('--images', help='show how these are gated')
            add.add_argument(
                '--batch', type=int, default=1, help='images at once'
            )
        else:
            add.add_argument('images', metavar='IMAGES')
        if report is cam:
            add.add_argument('--layer', help="default: backbone's last stage")
            add.add_argument(
                '--method',
                choices=METHODS,
                help='default: gradcam; for detectors layercam',
            )
            add.add_argument('--classes', nargs='+', metavar='NAME')
            add.add_argument(
                '--most',
                type=at_least_one,
                default=3,
                help='boxes per image; classes, if none are named',
            )
            add.add_argument(
                '--versus',
                nargs=2,
                metavar=('CONFIG', 'CHECKPOINT'),
                help='a second model, beside the first',
            )
        if report is features:
            add.add_argument('--layer', nargs='+', help='default: all stages')
            add.add_argument(
                '--channels', type=at_least_one, default=4, help='per layer'
            )
        else:
            add.add_argument(
                '--score', type=float, default=0.3, help='of boxes'
            )
        add.add_argument('--out', type=Path, help='folder')
        add.add_argument('--device', help='such as cuda:0 or cpu')
        add.add_argument(
            '--force', action='store_true', help='a folder with files, too'
        )
    return parser


if __name__ == '__main__':
    run(main, options())
