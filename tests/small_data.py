"""Data sets of one image per split, fit until a test spoils them."""

import json

import numpy as np
from mmengine.config import Config
from PIL import Image
from runs import DEMO

from banet.data import check_data

SIZE = (40, 60)  # height and width
PIXELS = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), np.uint8)
DET = 'mask-rcnn_ba-r18_fpn_nuclei.py'
SEG = 'upernet_ba-r18_nuclei.py'
CLS = 'ba-resnet18_digits.py'


def picture(mode='RGB'):
    return Image.fromarray(PIXELS).convert(mode)


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def box(identity=1, **kwargs):
    annotation = dict(
        id=identity,
        image_id=0,
        category_id=1,
        bbox=[5, 5, 20, 10],
        area=200,
        iscrowd=0,
        segmentation=[[5, 5, 25, 5, 25, 15, 5, 15]],
    )
    return {**annotation, **kwargs}


def coco(**kwargs):
    height, width = SIZE
    image = dict(id=0, file_name='a.png', height=height, width=width)
    content = dict(
        images=[image],
        annotations=[box()],
        categories=[dict(id=1, name='nucleus')],
    )
    return {**content, **kwargs}


def values(*wrong):
    label = np.zeros(SIZE, np.uint8)
    label[0, : len(wrong)] = wrong
    return Image.fromarray(label)


class Data:
    """The three demos' configs on one image per split, all of it fit."""

    def __init__(self, root):
        self.root = root
        for split in ('train', 'val'):
            for folder in ('images', 'labels'):
                (root / folder / split).mkdir(parents=True)
            # One image in the one split must not be that of the other.
            picture().save(root / 'images' / split / 'a.png')
            label = np.zeros(SIZE, np.uint8)
            label[:10] = 1
            Image.fromarray(label).save(root / 'labels' / split / 'a.png')
            self.write(coco(), split)
            for digit in range(10):
                folder = root / 'digits' / split / str(digit)
                folder.mkdir(parents=True)
                picture().save(folder / f'{split}.png')

    @property
    def image(self):
        return self.root / 'images' / 'train' / 'a.png'

    @property
    def label(self):
        return self.root / 'labels' / 'train' / 'a.png'

    def write(self, content, split='train'):
        (self.root / 'annotations').mkdir(exist_ok=True)
        path = self.root / 'annotations' / f'{split}.json'
        path.write_text(json.dumps(content))

    def options(self, config):
        root = self.root / 'digits' if config == CLS else self.root
        options = {}
        for split in ('train', 'val', 'test'):
            options[f'{split}_dataloader.dataset.data_root'] = f'{root}/'
        if config == DET:
            for split in ('val', 'test'):
                truth = str(root / 'annotations/val.json')
                options[f'{split}_evaluator.ann_file'] = truth
        return options

    def check(self, config, out=None, **kwargs):
        cfg = Config.fromfile(DEMO / config)
        cfg.merge_from_dict({**self.options(config), **kwargs})
        return check_data(cfg, out=out)


def found(report, *severities):
    return {
        problem.kind
        for _, problem in report.problems
        if problem.severity in severities
    }
