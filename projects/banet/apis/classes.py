"""Names and colours of the classes that a trained model predicts."""

import torch
from mmengine.registry import DATASETS

from ..utils.colours import palette
from ..utils.registered import class_of
from .config import ConfigError


def classes_of(config, model, meta):
    """Names and colours: of the training, of the config, or numbers."""
    dataset = config.test_dataloader.dataset
    kind = class_of(DATASETS, dataset.type)
    trained = meta.get('dataset_meta') or meta
    found = {
        **getattr(kind, 'METAINFO', {}),
        **dataset.get('metainfo', {}),
        **{str(k).lower(): v for k, v in trained.items() if v},
    }
    count = _number_of_classes(model)
    classes = tuple(found.get('classes') or map(str, range(count or 0)))
    if count is not None and len(classes) != count:
        raise ConfigError(
            f'{config.filename}: its model predicts {count} classes, but '
            f'{len(classes)} names are known: '
            f'{", ".join(map(str, classes[:3]))}, ... Set num_classes in '
            "every head, and the dataset's metainfo."
        )
    colours = found.get('palette')
    if not isinstance(colours, list) or len(colours) != len(classes):
        colours = palette(len(classes))
    # Tuples: mmdet's visualizer does not take lists, which files have.
    return classes, [tuple(colour) for colour in colours]


def _number_of_classes(model):
    """num_classes of the head that decides, None if it does not say."""
    for path in (
        'panoptic_fusion_head',
        'roi_head.bbox_head',
        'bbox_head',
        'decode_head',
        'head',
    ):
        head = model
        for name in path.split('.'):
            head = getattr(head, name, None)
        if isinstance(head, torch.nn.ModuleList):  # a cascade
            head = head[-1]
        if hasattr(head, 'num_classes'):
            return head.num_classes
    return None
