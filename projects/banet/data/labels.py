"""Label images of segmentation, read as mmseg reads them."""

import os
from collections import Counter
from typing import Optional

import mmcv
import numpy as np

from ..utils.text import shorten
from .report import ERROR, Problem

IGNORED = 255


def check_label(
    path: str, size: Optional[tuple], num_classes: Optional[int], info: dict
) -> tuple[list[Problem], Counter[int]]:
    """Problems of a label image.

    Args:
        path (str): The file.
        size (tuple | None): Height and width of its image.
        num_classes (int | None): Values from there on, but for 255, are
            wrong; None if that is not known.
        info (dict): Of mmseg's dataset: ``label_map``, ``reduce_zero_label``.

    Returns:
        tuple: List of problems, and the pixels per class.
    """
    if not os.path.isfile(path):
        return [Problem(ERROR, 'missing label', path)], Counter()
    try:
        with open(path, 'rb') as file:
            label = mmcv.imfrombytes(
                file.read(), flag='unchanged', backend='pillow'
            )
        label = label.squeeze().astype(np.int64)
    except Exception as error:  # whatever damaged files raise
        text = f'cannot be read: {error}'
        return [Problem(ERROR, 'damaged label', path, text)], Counter()
    if label.ndim != 2:
        text = (
            f'has {label.shape[-1]} channels: a label PNG has one, whose '
            'values are the classes'
        )
        return [Problem(ERROR, 'label in colours', path, text)], Counter()
    found = []
    if size and label.shape != tuple(size):
        text = f'height and width {label.shape}, of the image {tuple(size)}'
        found.append(Problem(ERROR, 'label of another size', path, text))
    label = _mapped(label, info)
    values, pixels = np.unique(label, return_counts=True)
    wrong = [
        v
        for v in values
        if v != IGNORED and not 0 <= v < (num_classes or np.inf)
    ]
    if num_classes and wrong:
        text = (
            f'has the values {shorten(map(str, wrong))}, but there are '
            f'{num_classes} classes: labels are 0 to {num_classes - 1}, and '
            f'{IGNORED} for pixels to ignore'
        )
        found.append(Problem(ERROR, 'label value of no class', path, text))
    return found, Counter(dict(zip(values.tolist(), pixels.tolist())))


def _mapped(label, info):
    """As mmseg's LoadAnnotations maps the values."""
    if info.get('reduce_zero_label'):
        label = np.where((label == 0) | (label == IGNORED), 256, label) - 1
    mapped = label.copy()
    for old, new in (info.get('label_map') or {}).items():
        mapped[label == old] = new
    return mapped
