"""What comes of a damaged COCO file: it is named, or all goes well with it."""

import contextlib
import io
import json

from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from runs import DET, NUCLEI

from banet.data import check_data


def config_of(path):
    """The demo's config, trained and measured on one file."""
    cfg = Config.fromfile(DET)
    for split in ('train', 'val', 'test'):
        dataset = cfg[f'{split}_dataloader'].dataset
        dataset.data_root = ''
        dataset.ann_file = str(path)
        dataset.data_prefix = dict(img=f'{NUCLEI}/images/train/')
        cfg[f'{split}_evaluator'] = dict(
            type='CocoMetric', metric=['bbox', 'segm'], ann_file=str(path)
        )
    cfg.train_dataloader.dataset.pipeline[2].scale = (96, 96)
    return cfg


def count_objects(cfg):
    """Number of objects that the training sees in all images."""
    init_default_scope('mmdet')
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    return sum(
        len(dataset[i]['data_samples'].gt_instances)
        for i in range(len(dataset))
    )


def perfect_scores(path):
    """AP of boxes and masks, if the annotations themselves are predicted."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(path))
        answers = [
            dict(
                image_id=a['image_id'],
                category_id=a['category_id'],
                bbox=a['bbox'],
                segmentation=truth.annToRLE(a),
                score=1.0,
            )
            for a in truth.anns.values()
            if not a['iscrowd']
        ]
        found = []
        for kind in ('bbox', 'segm'):
            evaluation = COCOeval(truth, truth.loadRes(answers), kind)
            evaluation.params.maxDets = [1, 100, 1000]
            evaluation.evaluate()
            evaluation.accumulate()
            precision = evaluation.eval['precision'][..., 0, -1]
            found.append(precision[precision > -1].mean())
    return found


def outcome(content, folder):
    """``'named'``, or what a training and a measurement make of it.

    Raises:
        Exception: Whatever upstream raises, where nothing was named.
    """
    path = folder / 'damaged.json'
    path.write_text(json.dumps(content))
    cfg = config_of(path)
    report = check_data(cfg)
    if report.failed:
        return 'named'
    return count_objects(cfg), [
        round(float(s), 3) for s in perfect_scores(path)
    ]


def harmless(content):
    """What :func:`outcome` gives where nothing is lost: crowds are noted."""
    annotations = content.get('annotations')
    if not isinstance(annotations, list):
        return None
    return sum(not a.get('iscrowd') for a in annotations), [1, 1]
