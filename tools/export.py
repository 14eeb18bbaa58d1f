"""Export a trained model to ONNX, OpenVINO (.xml) or torch.export's .pt2.

    python tools/export.py CONFIG CHECKPOINT OUT.onnx [--deploy] [--dynamic]

The result is run at once, by its runtime or torch, on real images; the file
is written only if it gives what the model gives. Of a detector, backbone and
neck are exported: its heads go through mmdeploy.
"""

from pathlib import Path

from matplotlib import cbook

from banet.apis.export import check_export, export
from banet.apis.inference import load
from banet.apis.predictor import read_image
from banet.utils.cli import add_model, at_least_zero, make_parser, run

# A photograph that comes with matplotlib.
PHOTOGRAPH = 'grace_hopper.jpg'


def main(args):
    # The photograph is not like the images to come.
    check_export(args.out, len(args.images or ()), args.force, args.int8)
    paths = args.images or [cbook.get_sample_data(PHOTOGRAPH, asfileobj=False)]
    images = [read_image(path) for path in paths]
    predictor = load(args.config, args.checkpoint, 'cpu', args.trust)
    done = export(
        predictor,
        args.out,
        images,
        args.part,
        args.deploy,
        args.dynamic,
        args.force,
        args.speed,
        args.int8,
    )
    print(f'wrote {args.out}: {done.outputs}')
    print(f'difference from the model: {done.difference:.1e} of the largest')
    if done.agreement == done.agreement:  # no NaN
        print(f'same best class in {100 * done.agreement:.1f} % of the images')
    if args.speed:
        print(
            f'model as loaded {1000 * done.eager:.1f} ms, exported '
            f'{1000 * done.graph:.1f} ms ({done.graph / done.eager:.2f})'
        )
    if predictor.task == 'det':
        print(
            'this is the backbone'
            + (' and neck' if args.part == 'model' else '')
            + ': the heads of detectors go through mmdeploy'
        )


if __name__ == '__main__':
    parser = make_parser(__doc__)
    add_model(parser)
    parser.add_argument('out', metavar='OUT', type=Path)
    parser.add_argument(
        '--deploy', action='store_true', help='fold attention and norms first'
    )
    parser.add_argument(
        '--dynamic', action='store_true', help='batch and size are free'
    )
    parser.add_argument(
        '--int8', action='store_true', help='calculate in eight bits'
    )
    parser.add_argument(
        '--part', choices=('backbone', 'model'), default='model'
    )
    parser.add_argument(
        '--images', nargs='+', help='to verify on; default: a photograph'
    )
    parser.add_argument(
        '--speed',
        type=at_least_zero,
        default=0,
        metavar='ROUNDS',
        help='time model and result in turns',
    )
    parser.add_argument(
        '--force', action='store_true', help='replace an existing file'
    )
    run(main, parser)
