"""Predict images or a video with a trained model.

    python tools/predict.py CONFIG CHECKPOINT INPUT [--out DIR]

INPUT: an image, a folder (all images in it and below), a quoted glob, or a
video. Writes DIR/pictures and DIR/predictions.json: boxes and masks in COCO's
form, the five best classes, or the names of label PNGs in DIR/labels. The exit
code is 1 if some of the images could not be read; they are listed.
"""

import sys
from pathlib import Path

from banet.apis.inference import load
from banet.apis.predictions import predict_to
from banet.data.sources import open_source
from banet.utils.cli import add_model, make_parser, run
from banet.utils.outfolder import OutFolder


def main(args):
    source = open_source(args.input)
    out = args.out or Path('work_dirs', 'predict', Path(args.config).stem)
    out = OutFolder(out, args.force, source.paths)
    predictor = load(
        args.config, args.checkpoint, args.device, args.trust, args.deploy
    )
    written = predict_to(predictor, source, out, args.score, args.batch)
    for name, reason in source.skipped:
        print(f'skipped {name}: {reason}', file=sys.stderr)
    if source.skipped:
        print(f'{len(source.skipped)} skipped', file=sys.stderr)
    print(f'written: {written}' if written else 'nothing could be read')
    return bool(source.skipped)


if __name__ == '__main__':
    parser = make_parser(__doc__)
    add_model(parser)
    parser.add_argument('input', metavar='INPUT')
    parser.add_argument(
        '--out', type=Path, help='default: work_dirs/predict/CONFIG'
    )
    parser.add_argument(
        '--score', type=float, default=0.3, help='of boxes; default 0.3'
    )
    parser.add_argument(
        '--batch', type=int, default=1, help='images at once; default 1'
    )
    parser.add_argument(
        '--deploy',
        action='store_true',
        help='fold attention and norms first: the same results, sooner',
    )
    parser.add_argument('--device', help='such as cuda:0 or cpu')
    parser.add_argument(
        '--force', action='store_true', help='write into a folder with files'
    )
    run(main, parser)
