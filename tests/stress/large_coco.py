"""Seconds and memory of check_data.py --fast on a file of COCO's size.

    python tests/stress/large_coco.py

Writes, in a temporary folder, a json of 118,287 images and 860,001 objects
with polygons as long as train2017's (about 450 MB), and as many empty files.
"""

import json
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[2]
IMAGES, OBJECTS = 118_287, 860_001


def write(root):
    """The json, object by object, and the files."""
    draw = random.Random(0)
    (root / 'images').mkdir()
    for i in range(IMAGES):
        (root / 'images' / f'{i:012d}.jpg').touch()
    with open(root / 'train.json', 'w') as file:
        file.write('{"categories": ')
        json.dump([dict(id=i, name=f'c{i}') for i in range(1, 81)], file)
        file.write(', "images": ')
        json.dump(
            [
                dict(
                    id=i,
                    file_name=f'{i:012d}.jpg',
                    width=640,
                    height=480,
                    license=1,
                    coco_url=f'http://images.cocodataset.org/{i:012d}.jpg',
                )
                for i in range(IMAGES)
            ],
            file,
        )
        file.write(', "annotations": [')
        for i in range(OBJECTS):
            x, y = draw.randrange(300), draw.randrange(200)
            points = [
                round(start + draw.random() * 200, 2)
                for _ in range(draw.randrange(6, 45))
                for start in (x, y)
            ]
            annotation = dict(
                id=i + 1,
                image_id=i % IMAGES,
                category_id=1 + i % 80,
                bbox=[x, y, 200, 200],
                area=20000.5,
                iscrowd=0,
                segmentation=[points],
            )
            file.write((', ' if i else '') + json.dumps(annotation))
        file.write(']}')


def main():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write(root)
        size = (root / 'train.json').stat().st_size / 1e6
        print(f'{IMAGES} images, {OBJECTS} objects, {size:.0f} MB')
        from banet.data import check_data

        cfg = Config.fromfile(
            ROOT / 'configs/detection/mask-rcnn_ba-r50_fpn_1x_coco.py'
        )
        for split in ('train', 'val', 'test'):
            dataset = cfg[f'{split}_dataloader'].dataset
            dataset.data_root = folder
            dataset.ann_file = 'train.json'
            dataset.data_prefix = dict(img='images/')
            dataset.metainfo = dict(classes=[f'c{i}' for i in range(1, 81)])
            if split != 'train':
                cfg[f'{split}_dataloader'] = None
        start = time.time()
        report = check_data(cfg, fast=True)
        seconds = time.time() - start
        print(*report.lines(), sep='\n')
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f'{seconds:.0f} s, {peak:.2f} GB at the peak')


if __name__ == '__main__':
    sys.exit(main())
