"""The items of a data set: each image and its label, and their number."""

import os
from collections import Counter
from collections.abc import Sequence
from typing import Optional

from .images import check_image
from .labels import check_label
from .report import ERROR, LOST, NOTE, Problem

SHOWN = 10  # classes in a summary


def reader(dataset):
    """The transform with which the data set's own pipeline reads images."""
    transforms = getattr(dataset.pipeline, 'transforms', [])
    return next(
        (t for t in transforms if type(t).__name__ == 'LoadImageFromFile'),
        None,
    )


def check_item(
    load, num_classes: Optional[int], info: dict
) -> tuple[list[Problem], Counter[int]]:
    """Problems of one image and its label, and the label's pixels.

    Of labels as mmseg reads them; what mmdet has of that name holds ids of
    segments, or classes of its own.
    """
    size = None
    if 'height' in info:
        size = info['height'], info['width']
    found, read = check_image(info['img_path'], load, size)
    pixels: Counter[int] = Counter()
    if info.get('seg_map_path') and 'label_map' in info:
        problems, pixels = check_label(
            info['seg_map_path'], read, num_classes, info
        )
        found += problems
    label = info.get('gt_label')
    if num_classes and isinstance(label, int) and not 0 <= label < num_classes:
        text = f'{label}; classes are 0 to {num_classes - 1}'
        kind = 'label of no class'
        found.append(Problem(ERROR, kind, info['img_path'], text))
    return found, pixels


def check_there(info: dict) -> tuple[list[Problem], Counter[int]]:
    """Problems of an image and its label that need no decoding."""
    found = []
    for key, kind in (('img_path', 'image'), ('seg_map_path', 'label')):
        path = info.get(key)
        if path and not os.path.isfile(path):
            found.append(Problem(ERROR, f'missing {kind}', path))
    return found, Counter()


def check_counts(
    infos: list, names: Optional[Sequence[str]], where: str, evaluates: bool
) -> list[Problem]:
    """Classes of which there is no image, where images have one class each."""
    labels = [info.get('gt_label') for info in infos]
    if not all(isinstance(label, int) for label in labels):
        return []  # several classes each, or none
    counts = Counter(labels)
    return [
        Problem(
            NOTE if evaluates else LOST,
            'class without images',
            where,
            f'{name!r} has no image',
        )
        for i, name in enumerate(names or ())
        if not counts[i]
    ]


def describe(
    infos: list, pixels: Counter[int], names: Optional[Sequence[str]]
) -> str:
    """What a data set holds: images, and objects, pixels or images a class."""
    text = f'{len(infos)} images'
    labels = Counter(
        info['gt_label']
        for info in infos
        if isinstance(info.get('gt_label'), int)
    )
    for info in infos:
        labels.update(i['bbox_label'] for i in info.get('instances', ()))
    unit = ''
    if pixels:
        total = sum(pixels.values())
        labels = Counter({k: 100 * v / total for k, v in pixels.items()})
        unit = ' % of pixels'
    known = names or ()
    shown = [
        f'{known[k] if 0 <= k < len(known) else k}: {v:.4g}{unit}'
        for k, v in labels.most_common(SHOWN)
    ]
    if len(labels) > SHOWN:
        shown.append(f'{len(labels) - SHOWN} more classes')
    return f'{text} ({", ".join(shown)})' if shown else text
