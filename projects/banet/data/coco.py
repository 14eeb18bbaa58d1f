"""COCO annotation files: what a detector would trip over or never see."""

import json
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any, Optional

from ..utils.text import shorten
from .coco_boxes import check_form
from .coco_fields import check_annotation, check_entries, is_crowd
from .coco_forms import EXPORT, form_of, form_of_name
from .coco_masks import shape_of
from .report import ERROR, LOST, NOTE, Problem

KEYS = 'images', 'annotations', 'categories'


def read_coco(path: str, test: bool) -> tuple[Optional[dict], list[Problem]]:
    """Read ``path``.

    Args:
        path (str): The file.
        test (bool): Whether it may come without annotations.

    Returns:
        tuple: Its content, None if it is no COCO file, and the problems. In
        the place of each segmentation stands what
        :func:`banet.data.coco_masks.shape_of` says of it: polygons take most
        of a file, and of the memory.
    """
    if not path.lower().endswith('.json'):
        text = f'is no json file{form_of_name(path)}: {EXPORT}'
        return None, [Problem(ERROR, 'no COCO file', path, text)]
    try:
        with open(path) as file:
            content = json.load(file, object_hook=_without_points)
    except FileNotFoundError:
        return None, [Problem(ERROR, 'missing annotation file', path)]
    except (OSError, ValueError, RecursionError) as error:
        kind = 'damaged annotation file'
        text = f'is no json that can be read: {error}'
        return None, [Problem(ERROR, kind, path, text)]
    text = _why_not_coco(content, test)
    if text:
        return None, [Problem(ERROR, 'no COCO file', path, text)]
    found = check_entries(content, path)
    return (None if found else content), found


def _without_points(entry):
    if 'segmentation' in entry:
        entry['segmentation'] = shape_of(
            entry['segmentation'], entry.get('bbox')
        )
    return entry


def _why_not_coco(content, test):
    form = form_of(content)
    if form:
        return f'is a file of {form}: {EXPORT}'
    if not isinstance(content, dict):
        return (
            f'holds a {type(content).__name__}: COCO files have lists '
            f'called {", ".join(KEYS)}'
        )
    if test and content.get('annotations') is None:
        content['annotations'] = []
    lacking = [k for k in KEYS if not isinstance(content.get(k), list)]
    if not lacking:
        return None
    there = [f'{k}={content[k]!r:.20}' for k in lacking if k in content]
    return (
        f'has no {", no ".join(lacking)}'
        + (f' ({", ".join(there)})' if there else '')
        + ': COCO files have lists of that name; categories are dicts of id '
        'and name'
    )


def check_coco(
    content: dict,
    path: str,
    classes: Optional[Sequence[str]],
    masks: bool,
    evaluates: bool,
) -> list[Problem]:
    """Look at everything that mmdet and its evaluator read.

    Args:
        content (dict): What :func:`read_coco` returns.
        path (str): The file.
        classes (Sequence[str] | None): Those of the config; None: all
            categories.
        masks (bool): Whether masks are learnt or measured.
        evaluates (bool): Whether results are measured on it; else it is
            trained on.
    """
    found = check_categories(content, path)
    if classes is None:
        classes = [category['name'] for category in content['categories']]
    objects = check_objects(content, path, masks, evaluates, found)
    found += check_classes(content, classes, path, objects, evaluates)
    return found + check_form(content, path)


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
    mixed = _of_two_kinds(content, 'categories', path)
    found += mixed
    # As text, 10 comes before 2.
    numeric = all(str(i).isdigit() for i in ids)
    if not mixed and ids != sorted(ids, key=int if numeric else None):
        text = (
            'the ids of the categories are out of order '
            f'({shorten(map(str, ids))}). mmdet takes labels in the order of '
            'the file, other tools in that of the ids: sort the categories '
            'by id'
        )
        found.append(Problem(NOTE, 'categories out of order', path, text))
    return found


def _of_two_kinds(content, key, path):
    """Ids that are text and numbers: nothing can sort them."""
    kinds = {isinstance(entry['id'], str): entry for entry in content[key]}
    if len(kinds) < 2:
        return []
    ids = shorten(repr(entry['id']) for entry in kinds.values())
    text = f'ids are text and numbers (such as {ids}): write all as numbers'
    return [Problem(ERROR, f'{key} of two kinds', path, text)]


def check_classes(
    content: dict,
    classes: Sequence[str],
    path: str,
    objects: dict,
    evaluates: bool,
) -> list[Problem]:
    """Compare the config's classes with the file's categories and objects.

    Args:
        objects (dict): Category id to number of objects that are learnt or
            measured, see :func:`check_objects`.
        content, classes, path, evaluates: See :func:`check_coco`.
    """
    found = []
    by_name = {c['name']: c['id'] for c in content['categories']}
    used = Counter(hashable(a, 'category_id') for a in content['annotations'])
    for name in classes:
        if name not in by_name:
            text = (
                f'{name!r} is not among the categories '
                f'{list(by_name)[:10]}: set metainfo=dict(classes=...) in '
                "the dataset to the file's names"
            )
            kind = 'class that the file has not'
            found.append(Problem(ERROR, kind, path, text))
        elif content['annotations'] and not objects.get(by_name[name]):
            crowd = used[by_name[name]]
            text = f'{name!r} has no object' + (
                f', but {crowd} that are crowd or bad' if crowd else ''
            )
            # A few images for validation need not have all of them.
            severity = NOTE if evaluates else LOST
            kind = 'class without objects'
            found.append(Problem(severity, kind, path, text))
    # pycocotools finds categories by name in the order of the file.
    theirs = [name for name in by_name if name in classes]
    ours = [name for name in classes if name in by_name]
    if len(by_name) == len(content['categories']) and theirs != ours:
        text = (
            f'the file has {theirs[:10]}, the config {ours[:10]}: mmdet gives '
            'labels in the order of the file, and every name would mean '
            'another class. Give both one order, in all splits'
        )
        found.append(Problem(ERROR, 'classes in another order', path, text))
    for category in content['categories']:
        if category['name'] not in classes and used[category['id']]:
            text = (
                f'{category["name"]!r} with {used[category["id"]]} objects '
                'is not among the classes of the config'
            )
            kind = 'category that the config has not'
            found.append(Problem(LOST, kind, path, text))
    return found


def check_objects(
    content: dict,
    path: str,
    masks: bool,
    evaluates: bool,
    found: list[Problem],
) -> Counter:
    """Look at every annotation; what is wrong is added to ``found``.

    Returns:
        Counter: Category id to number of objects without a problem.
    """
    found += _of_two_kinds(content, 'images', path)
    images = _by_id(content, 'images', path, found)
    _by_id(content, 'annotations', path, found)
    categories = {c['id']: c for c in content['categories']}
    check = partial(
        check_annotation,
        images=images,
        categories=categories,
        masks=masks,
        evaluates=evaluates,
    )
    good: Counter = Counter()
    filled, crowd = set(), 0
    for annotation in content['annotations']:
        problems = check(annotation, path)
        found += problems
        image = hashable(annotation, 'image_id')
        if image in images:
            filled.add(image)
        if is_crowd(annotation):
            crowd += 1
        elif all(p.severity == NOTE for p in problems):
            good[annotation['category_id']] += 1
    text = 'left out of training by filter_cfg=dict(filter_empty_gt=True)'
    found += [
        Problem(NOTE, 'image without objects', image['file_name'], text)
        for identity, image in images.items()
        if identity not in filled
    ]
    count = len(content['annotations'])
    if not count:
        text = 'has no annotations, nothing to learn from'
        found.append(Problem(ERROR, 'no annotations at all', path, text))
    elif crowd == count:
        text = (
            f'{crowd} of {count} objects are crowd (iscrowd: 1), which is '
            'never learnt and never measured: set iscrowd to 0'
        )
        found.append(Problem(LOST, 'only crowd objects', path, text))
    elif crowd:
        text = f'{crowd} of {count} objects: neither learnt nor measured'
        found.append(Problem(NOTE, 'crowd objects', path, text))
    return good


def hashable(entry: dict, key: str) -> Any:
    """The value; None, if it is none that a dict could look up."""
    value = entry.get(key)
    return None if isinstance(value, (list, dict)) else value


def _by_id(content, key, path, found):
    """The entries of ``content[key]`` by id; ids given twice are problems."""
    counts = Counter(hashable(entry, 'id') for entry in content[key])
    for identity, count in counts.items():
        if count > 1 and identity is not None:
            text = f'id {identity} is given {count} times'
            found.append(Problem(ERROR, f'{key} with one id', path, text))
    return {hashable(entry, 'id'): entry for entry in content[key]}
