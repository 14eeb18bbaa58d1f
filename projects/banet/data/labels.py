"""Label images of segmentation, read as mmseg reads them."""

import io
import os
from collections import Counter
from collections.abc import Sequence
from typing import Optional

import mmcv
import numpy as np
from PIL import Image

from ..utils.text import shorten
from .report import ERROR, LOST, NOTE, Problem

IGNORED = 255
LOSSY = 'JPEG', 'WEBP', 'MPO'


class Labels:
    """What the labels of a data set hold, all together.

    Attributes:
        pixels (Counter): Pixels per value, as training maps them.
    """

    def __init__(self):
        self.pixels: Counter[int] = Counter()

    def add(self, pixels: Counter[int]) -> None:
        """Count those of one label image."""
        self.pixels += pixels

    def problems(
        self, names: Optional[Sequence[str]], where: str, evaluates: bool
    ) -> list[Problem]:
        """What is wrong with all of them together.

        Args:
            names (Sequence[str] | None): The classes.
            where (str): The data set.
            evaluates (bool): Whether results are measured on it.
        """
        if not self.pixels or not names:
            return []
        values = set(self.pixels) - {IGNORED}
        found = []
        if values <= {0} and self.pixels[IGNORED] and len(names) > 1:
            text = (
                'all labels are 0 and 255, and 255 is ignored: write the '
                "class's number, 1, instead of 255"
            )
            found.append(Problem(ERROR, 'labels of 0 and 255', where, text))
        if values and min(values) >= 1 and max(values) == len(names):
            text = (
                f'labels go from {min(values)} to {max(values)}: subtract 1, '
                'or set reduce_zero_label=True in the data set and its '
                'LoadAnnotations'
            )
            found.append(Problem(ERROR, 'labels from 1', where, text))
        return found + [
            Problem(
                NOTE if evaluates else LOST,
                'class without pixels',
                where,
                f'{name!r} (label {i}) has no pixel',
            )
            for i, name in enumerate(names)
            if not self.pixels[i]
        ]


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
            content = file.read()
        with Image.open(io.BytesIO(content)) as image:
            lossy = image.format in LOSSY
        label = mmcv.imfrombytes(content, flag='unchanged', backend='pillow')
        label = label.squeeze().astype(np.int64)
    except Exception as error:  # whatever damaged files raise
        text = f'cannot be read: {error}'
        return [Problem(ERROR, 'damaged label', path, text)], Counter()
    if label.ndim != 2:
        text = (
            f'has {label.shape[-1]} channels: a label PNG has one, whose '
            'values are the classes. Write, for each colour, the number of '
            'its class'
        )
        return [Problem(ERROR, 'label in colours', path, text)], Counter()
    found = []
    if lossy:
        text = (
            'its compression changes values at the borders: export the '
            'labels as PNG'
        )
        found.append(Problem(ERROR, 'lossy label', path, text))
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
        if wrong == [num_classes]:
            text += '. If 0 is the background, give it a name, the first one'
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
