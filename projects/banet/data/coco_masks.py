"""The masks of a COCO file: polygons and run-length codes.

mmdet's loader leaves out polygons of less than three points and stops at
objects without a mask; pycocotools' evaluator stops at both.
"""

import math
from typing import Any, NamedTuple, Optional


class Shape(NamedTuple):
    """What a ``segmentation`` is, without its points.

    Attributes:
        kind (str): ``polygons``, ``code``, or what is wrong by itself.
        text (str): Of what is wrong, value and remedy.
        size (tuple | None): Height and width that a code is for.
        pixels (int): Sum of a code's runs.
    """

    kind: str
    text: str = ''
    size: Optional[tuple] = None
    pixels: int = 0


POLYGONS = Shape('polygons')
NONE = Shape('object without mask', 'it has no segmentation')
BAD, SHORT = 'mask that cannot be read', 'polygon of less than three points'
EMPTY = 'mask without pixels'


def shape_of(segmentation: Any, box: Any = None) -> Shape:
    """Look at a ``segmentation`` beside its object's box."""
    if isinstance(segmentation, dict):
        return _code(segmentation)
    if not segmentation:
        return Shape(NONE.kind, f'segmentation={segmentation!r}')
    if not isinstance(segmentation, list):
        return Shape(BAD, f'segmentation={segmentation!r:.40}')
    if _are_numbers(segmentation):
        return Shape(
            BAD, 'its polygon is not in a list: write [[x, y, x, y, ...]]'
        )
    for polygon in segmentation:
        if not isinstance(polygon, list) or not _are_numbers(polygon):
            return Shape(
                BAD, f'{polygon!r:.40} is no polygon: write [x, y, x, y, ...]'
            )
    lengths = [len(polygon) for polygon in segmentation]
    if any(n % 2 for n in lengths):
        return Shape(BAD, 'a polygon has an odd number of coordinates')
    if min(lengths) < 6:
        text = f'{min(lengths) // 2} points: remove it, or the object'
        return Shape(SHORT, text)
    return _place_of(segmentation, box)


def _place_of(polygons, box):
    """Whether they have an area, and meet the box."""
    xs = [x for polygon in polygons for x in polygon[::2]]
    ys = [y for polygon in polygons for y in polygon[1::2]]
    x1, y1, x2, y2 = min(xs), min(ys), max(xs), max(ys)
    if x1 == x2 or y1 == y2:
        return Shape(EMPTY, 'its polygon has no area')
    if not isinstance(box, list) or len(box) != 4 or not _are_numbers(box):
        return POLYGONS  # which is told of the box
    x, y, w, h = box
    if x1 <= x + w and x <= x2 and y1 <= y + h and y <= y2:
        return POLYGONS
    shares = max(x2, y2) <= 1 and min(x1, y1) >= 0
    text = (
        f'its polygon lies from ({x1:g}, {y1:g}) to ({x2:g}, {y2:g}), its '
        f'bbox={box} elsewhere'
        + (': they are shares of the image, write pixels' if shares else '')
    )
    return Shape('mask outside of its box', text)


def _are_numbers(values):
    return all(
        type(v) is int or (type(v) is float and math.isfinite(v))
        for v in values
    )


def _code(code):
    size, counts = code.get('size'), code.get('counts')
    if (
        not isinstance(size, list)
        or len(size) != 2
        or not all(type(side) is int and side > 0 for side in size)
    ):
        return Shape(BAD, f'size={size!r:.40}: [height, width]')
    if isinstance(counts, str):
        runs = _runs(counts)
    elif isinstance(counts, list) and all(type(c) is int for c in counts):
        runs = counts
    else:
        return Shape(BAD, f'counts={counts!r:.40}: a list or a text')
    if runs is None or min(runs, default=0) < 0:
        return Shape(BAD, 'its counts are damaged')
    kind, text = 'code', ''
    if not any(runs[1::2]):
        kind, text = EMPTY, 'its counts are of background alone'
    return Shape(kind, text, tuple(size), sum(runs))


def _runs(text: str) -> Optional[list[int]]:
    """Lengths of the runs in COCO's compressed text; None if it is damaged.

    Six bits a letter, from 48 on: the sixth says that more follow, the fifth
    of the last one is the sign; from the third run on, differences to the run
    before the last.
    """
    runs: list[int] = []
    value = shift = 0
    for letter in map(ord, text):
        bits = letter - 48
        if not 0 <= bits < 64:
            return None
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return None if shift else runs


def problem_of_mask(
    shape: Optional[Shape], image: dict
) -> Optional[tuple[str, str, bool]]:
    """What is wrong with the mask of an object in ``image``.

    Returns:
        tuple | None: Kind, text, and whether mmdet leaves the object out
        without a word, where it would else stop.
    """
    shape = shape or NONE
    if shape.kind == 'polygons':
        return None
    if shape.size is None:  # no code
        return shape.kind, shape.text, shape.kind == SHORT
    size = image['height'], image['width']
    if shape.size != size:
        text = f'its mask is {shape.size} pixels, the image {size}'
        return 'mask of another size', text, False
    if shape.pixels != size[0] * size[1]:
        text = f'its counts add up to {shape.pixels}, not {size[0] * size[1]}'
        return BAD, text, False
    return (EMPTY, shape.text, False) if shape.kind == EMPTY else None
