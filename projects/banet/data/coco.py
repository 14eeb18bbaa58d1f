"""COCO annotation files: what a detector would trip over or never see."""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Optional

from ..utils.text import shorten
from .report import ERROR, LOST, NOTE, Problem


def read_coco(path: str, test: bool) -> tuple[Optional[dict], list[Problem]]:
    """Read ``path``.

    Args:
        path (str): The file.
        test (bool): Whether it may come without annotations.

    Returns:
        tuple: Its content, None if it is no COCO file, and the problems.
    """
    try:
        with open(path) as file:
            content = json.load(file)
    except FileNotFoundError:
        return None, [Problem(ERROR, 'missing annotation file', path)]
    except (OSError, ValueError) as error:
        kind = 'damaged annotation file'
        text = f'is no json that can be read: {error}'
        return None, [Problem(ERROR, kind, path, text)]
    if test and isinstance(content, dict):
        content.setdefault('annotations', [])
    keys = ('images', 'annotations', 'categories')
    lacking = [
        key
        for key in keys
        if not isinstance(content, dict) or key not in content
    ]
    if lacking:
        text = (
            f'has no {", no ".join(lacking)}: COCO files have lists of that '
            'name; categories are dicts of id and name'
        )
        return None, [Problem(ERROR, 'no COCO file', path, text)]
    needed = dict(
        images=('id', 'file_name', 'width', 'height'),
        categories=('id', 'name'),
    )
    for key, names in needed.items():
        for entry in content[key]:
            lacking = [name for name in names if name not in entry]
            if lacking:
                text = f'{str(entry)[:80]} has no {" or no ".join(names)}'
                problem = Problem(ERROR, f'{key} without a key', path, text)
                return None, [problem]
    return content, []


def check_categories(content: dict, path: str) -> list[Problem]:
    """Look at the categories by themselves: ids, names, their order."""
    found = []
    for key in ('id', 'name'):
        counts = Counter(entry[key] for entry in content['categories'])
        found += [
            Problem(
                ERROR,
                f'categories with one {key}',
                path,
                f'several categories have the {key} {value!r}; give each its '
                'own',
            )
            for value, count in counts.items()
            if count > 1
        ]
    ids = [category['id'] for category in content['categories']]
    if ids != sorted(ids):
        text = (
            'the ids of the categories are out of order '
            f'({shorten(map(str, ids))}). mmdet takes labels in the order of '
            'the file, other tools in that of the ids: sort the categories '
            'by id'
        )
        found.append(Problem(NOTE, 'categories out of order', path, text))
    return found


def check_classes(
    content: dict, classes: Sequence[str], path: str
) -> list[Problem]:
    """Compare the config's classes with the file's categories."""
    found = []
    names = [category['name'] for category in content['categories']]
    used = Counter(a.get('category_id') for a in content['annotations'])
    for name in classes:
        if name not in names:
            text = (
                f'{name!r} is not among the categories {names[:10]}: set '
                "metainfo=dict(classes=...) in the dataset to the file's names"
            )
            found.append(
                Problem(ERROR, 'class that the file has not', path, text)
            )
    for category in content['categories']:
        if category['name'] not in classes and used[category['id']]:
            text = (
                f'{category["name"]!r} with {used[category["id"]]} objects '
                'is not among the classes of the config'
            )
            found.append(
                Problem(LOST, 'category that the config has not', path, text)
            )
    return found


def check_boxes(content: dict, path: str) -> list[Problem]:
    """Look at every annotation of a COCO file."""
    found: list[Problem] = []
    images, categories = (
        _by_id(content, 'images', path, found),
        {category['id'] for category in content['categories']},
    )
    _by_id(content, 'annotations', path, found)
    objects: dict[int, int] = defaultdict(int)
    for annotation in content['annotations']:
        where = f'{path} annotation {annotation.get("id")}'
        image = images.get(annotation.get('image_id'))
        if image is None:
            text = f'image_id {annotation.get("image_id")} is in no image'
            found.append(Problem(LOST, 'annotation of no image', where, text))
            continue
        objects[image['id']] += 1
        if annotation.get('category_id') not in categories:
            text = (
                f'has category_id {annotation.get("category_id")}, which is '
                'none of the categories'
            )
            found.append(
                Problem(LOST, 'annotation of no category', where, text)
            )
        found += _check_box(annotation, image, where)
    empty = [i for i in images.values() if not objects[i['id']]]
    for image in empty:
        text = 'left out of training by filter_cfg=dict(filter_empty_gt=True)'
        found.append(
            Problem(NOTE, 'image without objects', image['file_name'], text)
        )
    if not content['annotations']:
        text = 'has no annotations, nothing to learn from'
        found.append(Problem(ERROR, 'no annotations at all', path, text))
    return found


def _by_id(content, key, path, found):
    """The entries of ``content[key]`` by id; ids given twice are problems."""
    counts = Counter(entry.get('id') for entry in content[key])
    for identity, count in counts.items():
        if count > 1:
            text = f'id {identity} is given {count} times'
            found.append(Problem(ERROR, f'{key} with one id', path, text))
    return {entry.get('id'): entry for entry in content[key]}


def _check_box(annotation, image, where):
    box = annotation.get('bbox')
    if (
        not isinstance(box, list)
        or len(box) != 4
        or not all(isinstance(v, (int, float)) for v in box)
        or not all(map(math.isfinite, box))
    ):
        text = f'bbox={box}; COCO has [x, y, width, height]'
        return [Problem(ERROR, 'box that is none', where, text)]
    if 'area' not in annotation:
        text = "mmdet reads 'area' of every annotation"
        return [Problem(ERROR, 'annotation without area', where, text)]
    x, y, w, h = box
    width, height = image['width'], image['height']
    if w < 1 or h < 1 or annotation['area'] <= 0:
        text = f'bbox={box}, area={annotation["area"]}'
        return [Problem(LOST, 'degenerate box', where, text)]
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        text = f'bbox={box} in {width} x {height}'
        return [Problem(LOST, 'box outside the image', where, text)]
    # A pixel of rounding is usual.
    if x < -1 or y < -1 or x + w > width + 1 or y + h > height + 1:
        text = f'bbox={box} in {width} x {height}; transforms clip it'
        return [Problem(NOTE, 'box beyond the border', where, text)]
    return []
