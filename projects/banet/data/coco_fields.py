"""The fields of a COCO file's entries: presence, type and range.

What reads them: mmdet's CocoDataset (sizes, bbox, area, category), its mask
loader (segmentation), and pycocotools' evaluator (id, iscrowd, area).
"""

import math
from typing import Any, Optional

from .boxes import check_place
from .coco_masks import problem_of_mask
from .report import ERROR, LOST, NOTE, Problem

NEEDED = dict(
    images=('id', 'file_name', 'width', 'height'), categories=('id', 'name')
)


def is_number(value: Any) -> bool:
    """Whether it is a finite number; text and true are none."""
    return type(value) in (int, float) and math.isfinite(value)


def is_id(value: Any) -> bool:
    """Whether it can name an entry: a number or a text."""
    return is_number(value) or (isinstance(value, str) and value != '')


def is_crowd(annotation: dict) -> bool:
    """Whether mmdet and pycocotools take it for a crowd of objects."""
    return bool(annotation.get('iscrowd'))


def check_entries(content: dict, path: str) -> list[Problem]:
    """Problems of images and categories, and of annotations that are none.

    Without these nothing else of the file can be read.
    """
    found = []
    for key in ('images', 'categories', 'annotations'):
        for entry in content[key]:
            problem = _problem_of_entry(key, entry)
            if problem:
                kind, text = problem
                found.append(Problem(ERROR, kind, path, text))
    return found


def _problem_of_entry(key, entry) -> Optional[tuple[str, str]]:
    if not isinstance(entry, dict):
        return f'{key} without a key', f'{entry!r:.80} is no dict'
    needed = NEEDED.get(key, ())
    if any(name not in entry for name in needed):
        text = f'{str(entry)[:80]} has no {" or no ".join(needed)}'
        return f'{key} without a key', text
    wrong = _wrong_value(key, entry)
    if wrong:
        name, remedy = wrong
        return (
            f'{key} with a wrong value',
            f'{name}={entry[name]!r:.60} in {str(entry)[:80]}: {remedy}',
        )
    return None


def _wrong_value(key, entry):
    if key == 'annotations':
        return None
    if not is_id(entry['id']):
        return 'id', 'an id is a number'
    if key == 'categories':
        if not isinstance(entry['name'], str) or not entry['name']:
            return 'name', 'write the name as text, in quotes'
        return None
    if not isinstance(entry['file_name'], str) or not entry['file_name']:
        return 'file_name', 'the name of a file is text'
    if '\\' in entry['file_name']:
        return 'file_name', 'write / instead of the backslash'
    for name in ('width', 'height'):
        value = entry[name]
        if not is_number(value) or value < 1 or value != int(value):
            return name, 'a whole number of pixels, without quotes'
    return None


def check_annotation(
    annotation: dict,
    path: str,
    images: dict,
    categories: dict,
    masks: bool,
    evaluates: bool,
) -> list[Problem]:
    """Problems of one annotation.

    Args:
        annotation (dict): Its segmentation is what
            :func:`banet.data.coco_masks.shape_of` returns.
        path (str): The file.
        images (dict): The file's images by id.
        categories (dict): Its categories by id.
        masks (bool): Whether masks are learnt or measured.
        evaluates (bool): Whether results are measured on it.
    """
    where = f'{path} annotation {annotation.get("id")!r}'

    def problem(severity, kind, text):
        return [Problem(severity, kind, where, text)]

    for key, kind in (
        ('image_id', 'annotation of no image'),
        ('category_id', 'annotation of no category'),
    ):
        value = annotation.get(key)
        if value is None or isinstance(value, (list, dict)):
            text = f'{key}={value!r}: pycocotools stops there'
            return problem(ERROR, kind, text)
    image, text = _find(annotation, 'image_id', images)
    if image is None:
        return problem(
            LOST, 'annotation of no image', f'{text} is in no image'
        )
    found = _check_id(annotation, evaluates, problem)
    category, text = _find(annotation, 'category_id', categories)
    if category is None:
        text = f'has {text}, which is none of the categories'
        found += problem(LOST, 'annotation of no category', text)
    found += check_box(annotation, image, where)
    found += _check_crowd(annotation, evaluates, problem)
    if masks and not is_crowd(annotation):
        mask = problem_of_mask(annotation.get('segmentation'), image)
        if mask:
            kind, text, lost = mask
            severity = LOST if lost and not evaluates else ERROR
            found += problem(severity, kind, text)
    if annotation.get('ignore'):
        found += problem(LOST, 'annotation to ignore', 'it has ignore: 1')
    return found


def _find(annotation, key, known):
    """What an id names in ``known``, and the id with a hint, in words."""
    value = annotation.get(key)
    text = f'{key} {value!r}'
    if not is_id(value):
        return None, text
    if value not in known:
        twin = _twin(value)
        if twin in known:
            text += f' (but {twin!r}: one is text, the other a number)'
    return known.get(value), text


def _twin(value):
    """An id as text instead of a number, or the reverse."""
    if isinstance(value, str):
        return int(value) if value.isdecimal() else None
    return str(value)


def _check_id(annotation, evaluates, problem):
    identity = annotation.get('id')
    if not is_number(identity):
        text = 'every annotation needs an id of its own, a number from 1'
        kind = 'annotation without id'
        if 'id' in annotation:
            kind, text = (
                'annotation id that is no number',
                f'{text}: {identity!r}',
            )
        return problem(ERROR, kind, text)
    if identity < 1:
        text = (
            f'id {identity}: pycocotools takes it for "no match" and measures '
            'less than there is. Count from 1'
        )
        return problem(
            ERROR if evaluates else NOTE, 'annotation id below 1', text
        )
    return []


def check_box(annotation: dict, image: dict, where: str) -> list[Problem]:
    """Problems of an annotation's box and area."""
    box = annotation.get('bbox')
    if (
        not isinstance(box, list)
        or len(box) != 4
        or not all(map(is_number, box))
    ):
        text = f'bbox={box}; COCO has [x, y, width, height]'
        return [Problem(ERROR, 'box that is none', where, text)]
    if 'area' not in annotation:
        text = "mmdet reads 'area' of every annotation"
        return [Problem(ERROR, 'annotation without area', where, text)]
    area = annotation['area']
    if not is_number(area):
        text = f'area={area!r}: a number of pixels, without quotes'
        return [Problem(ERROR, 'area that is no number', where, text)]
    x, y, w, h = box
    width, height = image['width'], image['height']
    if w < 1 or h < 1 or area <= 0:
        text = f'bbox={box}, area={area}'
        return [Problem(LOST, 'degenerate box', where, text)]
    text = f'bbox={box} in {width} x {height}'
    return check_place((x, y, x + w, y + h), (width, height), text, where)


def _check_crowd(annotation, evaluates, problem):
    if 'iscrowd' not in annotation:
        text = "the evaluator reads 'iscrowd' of every annotation: set it to 0"
        severity = ERROR if evaluates else NOTE
        return problem(severity, 'annotation without iscrowd', text)
    crowd = annotation['iscrowd']
    if crowd not in (0, 1) or isinstance(crowd, str):
        text = f'iscrowd={crowd!r}: 0 for one object, 1 for a crowd'
        return problem(ERROR, 'iscrowd that is neither 0 nor 1', text)
    return []
