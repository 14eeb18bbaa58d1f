"""Draw docs/images/nuclei.png.

    python docs/scripts/nuclei_picture.py work_dirs/demo-det/epoch_12.pth

The checkpoint is that of `make demo`.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

import banet

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / 'docs/images/nuclei.png'
IMAGES = '003cee89', '4327d275', '0c2550a2', 'ad473063'  # names begin so
SIZE = 256  # pixels of the crop that is shown


def main(checkpoint):
    folder = ROOT / 'data/nuclei_mini/images/val'
    model = banet.load('mask-rcnn_ba-r18_fpn_nuclei', checkpoint, 'cpu')
    chosen = [next(folder.glob(f'{name}*')) for name in IMAGES]
    figure, axes = plt.subplots(1, len(chosen), figsize=(10, 2.6))
    for axis, path, found in zip(axes, chosen, model.predict(chosen)):
        axis.imshow(np.asarray(Image.open(path).convert('RGB')))
        for mask, score in zip(found['masks'], found['scores']):
            if score > 0.5:
                axis.contour(mask, levels=[0.5], colors='#ffb000')
        axis.set(xlim=(0, SIZE), ylim=(SIZE, 0))
        axis.axis('off')
    figure.tight_layout(pad=0.2)
    figure.savefig(OUT, dpi=78, pil_kwargs=dict(optimize=True))


if __name__ == '__main__':
    main(sys.argv[1])
