"""Write scikit-learn's handwritten digits as a folder dataset.

    python tools/prepare_digits.py [data/digits]

1797 scans of 8x8 pixels and 17 grey levels (UCI optical recognition of
handwritten digits, CC BY 4.0), shipped with scikit-learn: nothing is
downloaded. They become 32x32 PNGs in train/<digit>/ and, every fifth one, in
val/<digit>/.
"""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from banet.utils.cli import make_parser, run
from banet.utils.compat import need


def main(args):
    root = args.folder
    if root.exists():
        print(f'{root} is there already; remove it to make it again.')
        return
    # Written aside and moved: an interrupted run leaves no half data set.
    unfinished = root.with_name(root.name + '.unfinished')
    shutil.rmtree(unfinished, ignore_errors=True)
    digits = need('sklearn.datasets', 'scikit-learn').load_digits()
    for i, (scan, digit) in enumerate(
        zip(digits.images, digits.target, strict=True)
    ):
        folder = unfinished / ('val' if i % 5 == 0 else 'train') / str(digit)
        folder.mkdir(parents=True, exist_ok=True)
        pixels = Image.fromarray((scan * 255 / 16).astype(np.uint8))
        pixels.resize((32, 32), Image.BILINEAR).save(folder / f'{i:04}.png')
    unfinished.rename(root)
    print(f'{root}: {len(digits.images)} images of ten digits')


if __name__ == '__main__':
    parser = make_parser(__doc__)
    parser.add_argument(
        'folder', nargs='?', type=Path, default=Path('data/digits')
    )
    run(main, parser)
