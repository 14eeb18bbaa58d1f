"""Make this folder from the unpacked nuclei_dsb2018 set (README.md here).

    python data/nuclei_mini/make.py /path/to/nuclei_dsb2018

Takes a fixed number of images of every kind, evenly spaced over the source's
order, keeps their split and annotations, and draws the semantic labels.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as rle

# Images per split and kind, in the proportions of the source.
COUNTS = dict(
    train=dict(fluor256=29, stain320=10, fluor360=8, fluor320=1),
    val=dict(fluor256=10, stain320=3, fluor360=3),
)
HERE = Path(__file__).parent


def pick(images, counts):
    """Evenly spaced images of every kind, in the order of the source."""
    chosen = []
    for kind, count in counts.items():
        group = [image for image in images if image['type'] == kind]
        chosen += [group[i * len(group) // count] for i in range(count)]
    return sorted(chosen, key=lambda image: image['id'])


def semantic_label(image, annotations):
    """(H, W) uint8: 0 background, 1 nucleus."""
    label = np.zeros((image['height'], image['width']), np.uint8)
    for annotation in annotations:
        label |= rle.decode(annotation['segmentation'])
    return label


def main(source):
    for split, counts in COUNTS.items():
        for folder in (f'images/{split}', f'labels/{split}', 'annotations'):
            (HERE / folder).mkdir(parents=True, exist_ok=True)
        name = f'annotations/{split}.json'
        coco = json.loads((source / name).read_text())
        coco['images'] = pick(coco['images'], counts)
        kept = {image['id'] for image in coco['images']}
        coco['annotations'] = [
            a for a in coco['annotations'] if a['image_id'] in kept
        ]
        (HERE / name).write_text(json.dumps(coco, separators=(',', ':')))
        for image in coco['images']:
            file_name = image['file_name']
            shutil.copyfile(
                source / split / file_name, HERE / 'images' / split / file_name
            )
            label = semantic_label(
                image,
                [
                    a
                    for a in coco['annotations']
                    if a['image_id'] == image['id']
                ],
            )
            Image.fromarray(label).save(HERE / 'labels' / split / file_name)


if __name__ == '__main__':
    main(Path(sys.argv[1]))
