"""Pascal VOC's xml files: what mmdet would trip over or never see."""

import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ..utils.text import shorten
from .boxes import check_place, check_size
from .report import ERROR, LOST, NOTE, Problem


def check_voc(
    root: str,
    ann_file: str,
    sub_folder: str,
    classes: Sequence[str],
    evaluates: bool,
    limits: Mapping[str, Any],
) -> list[Problem]:
    """Look at every object of the images that a list names.

    Args:
        root (str): Folder that the xml folder lies in.
        ann_file (str): Text file with the images' names, a line each.
        sub_folder (str): Folder of the xml files in ``root``.
        classes (Sequence[str]): Those of the config.
        evaluates (bool): Whether results are measured on it.
        limits (Mapping): The data set's ``filter_cfg``, where it filters.
    """
    try:
        text = Path(ann_file).read_text(encoding='utf-8-sig')
    except (OSError, ValueError) as error:
        kind = 'missing annotation file'
        return [Problem(ERROR, kind, ann_file, str(error))]
    found: list[Problem] = []
    objects: Counter[str] = Counter()
    ignored: Counter[str] = Counter()
    # A name per line, as mmdet reads them.
    for name in filter(None, map(str.strip, text.splitlines())):
        path = os.path.join(root, sub_folder, f'{name}.xml')
        found += _check_file(path, classes, objects, ignored, limits)
    unknown = {k: n for k, n in objects.items() if k not in classes}
    if unknown:
        text = (
            f'{shorten([f"{k!r} ({n})" for k, n in unknown.items()])} are not '
            'among the classes of the config'
        )
        kind = 'category that the config has not'
        found.append(Problem(LOST, kind, ann_file, text))
    severity = NOTE if evaluates else LOST
    found += [
        Problem(
            severity,
            'class without objects',
            ann_file,
            f'{c!r} has no object'
            + (f', but {ignored[c]} that are ignored' if ignored[c] else ''),
        )
        for c in classes
        if not objects[c]
    ]
    return found


def _check_file(path, classes, objects, ignored, limits):
    if not os.path.isfile(path):
        return [Problem(ERROR, 'missing annotation file', path)]
    try:
        tree = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError, ValueError) as error:
        text = f'is no xml that can be read: {error}'
        return [Problem(ERROR, 'damaged annotation file', path, text)]
    texts = {s: tree.findtext(f'size/{s}') for s in ('width', 'height')}
    size = tuple(map(_number, texts.values()))
    found = check_size(size, limits.get('min_size', 0), path)
    found += [
        Problem(
            ERROR,
            'size that is no number',
            path,
            f'{side}={text!r}: a whole number of pixels',
        )
        for side, text in texts.items()
        if text is not None and not text.strip().isdigit()
    ]
    for number, thing in enumerate(tree.findall('object'), 1):
        where = f'{path} object {number}'
        name = thing.findtext('name')
        if not name:
            text = 'an object needs a name'
            found.append(Problem(ERROR, 'object without name', where, text))
            continue
        problems, is_ignored = _check_object(thing, size, limits, where)
        found += problems
        if name in classes and is_ignored:
            ignored[name] += 1
        elif name not in classes or _are_notes(problems):
            objects[name] += 1
    if not tree.findall('object'):
        found.append(Problem(NOTE, 'image without objects', path))
    return found


def _check_object(thing, size, limits, where):
    """What is wrong with it, and whether a training ignores it."""
    box = [
        _number(thing.findtext(f'bndbox/{side}'))
        for side in ('xmin', 'ymin', 'xmax', 'ymax')
    ]
    found = _check_box(box, *size, where)
    difficult = thing.findtext('difficult', '0').strip()
    if not difficult.isdigit():
        text = f'difficult={difficult!r}: mmdet reads a number, 0 or 1'
        kind = 'difficult that is no number'
        found.append(Problem(ERROR, kind, where, text))
    elif int(difficult):
        return found, True
    least = limits.get('bbox_min_size') or 0
    # Upstream takes whole numbers.
    x1, y1, x2, y2 = (int(v) if math.isfinite(v) else v for v in box)
    if _are_notes(found) and min(x2 - x1, y2 - y1) < least:
        text = (
            f'bndbox={box}: ignored in training by '
            f'filter_cfg=dict(bbox_min_size={least})'
        )
        return [*found, Problem(NOTE, 'small box', where, text)], True
    return found, False


def _are_notes(problems):
    return all(problem.severity == NOTE for problem in problems)


def _number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return math.nan


def _check_box(box, width, height, where):
    if not all(map(math.isfinite, box)):
        text = f'bndbox={box}; VOC has xmin, ymin, xmax, ymax'
        return [Problem(ERROR, 'box that is none', where, text)]
    x1, y1, x2, y2 = box
    if x2 - x1 < 1 or y2 - y1 < 1:
        text = f'bndbox={box}'
        return [Problem(LOST, 'degenerate box', where, text)]
    text = f'bndbox={box} in {width:g} x {height:g}'
    return check_place((x1, y1, x2, y2), (width, height), text, where)
