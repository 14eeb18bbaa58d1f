"""Write a config for your own data that trains at once.

    python tools/new_config.py det mask-rcnn r50 --data train.json --images DIR
    python tools/new_config.py seg upernet r50 --data IMAGES --labels PNGS
                                               --classes classes.txt
    python tools/new_config.py cls resnet r50 --data DIR

each with [--val-data ...] --gpus 1 --batch 2 --out my.py. It inherits one of
ours; classes are read from the data, num_classes is set in every head, and the
learning rate is scaled to the batch. Data: a COCO json and its images; images
and label PNGs of the same names, also with an end such as _mask, and a list of
classes (a line each, CVAT's labelmap.txt, Roboflow's _classes.csv); a folder
with train/CLASS and val/CLASS (or valid, validation, test), or with one folder
per class and --val-share.
"""

from pathlib import Path

from banet.newconfig import make_config
from banet.utils.cli import make_parser, run


def main(args):
    written = make_config(args)
    print(f'wrote {written}')
    if args.task != 'cls' and not args.val_data:
        print('no --val-data: it validates on the training data')
    print(f'check the data: python tools/check_data.py {written}')
    print(f'train:          python tools/train.py {written}')


if __name__ == '__main__':
    parser = make_parser(__doc__)
    parser.add_argument('task', choices=('cls', 'det', 'seg'))
    parser.add_argument('model', help='such as mask-rcnn, or a config')
    parser.add_argument('depth', nargs='?', help='such as r50')
    add = parser.add_argument
    add('--data', required=True, help='COCO json; images; folder of classes')
    add('--images', help='det: folder of the images')
    add('--labels', help='seg: folder of the label PNGs')
    add('--classes', help='seg: list of the classes, for label 0, 1, ...')
    add('--label-suffix', help='seg: end of the label names, as _mask.png')
    add('--val-data', help='the same for validation')
    add('--val-images', help='default: --images')
    add('--val-labels')
    add('--val-share', type=float, help='cls: of the images, to validate on')
    add(
        '--keep-empty-classes',
        action='store_true',
        help='det: also categories without an object',
    )
    add('--gpus', type=int, default=1)
    add('--batch', type=int, default=2, help='images per GPU; default 2')
    add('--weights', help='of the backbone: a file or URL, or none')
    add('--out', required=True, type=Path)
    add('--force', action='store_true', help='replace an existing file')
    run(main, parser)
