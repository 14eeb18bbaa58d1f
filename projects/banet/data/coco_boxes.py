"""Boxes that are not what they seem: other orders, other units."""

from .boxes import is_inside
from .coco_fields import is_number
from .report import ERROR, Problem

SHARE = 0.05  # of the boxes beyond the border is more than carelessness
LEAST = 3  # boxes that are beyond it, or two of up to four
FITTING = 0.98  # of the boxes, in the form that they are likely in


def check_form(content: dict, path: str) -> list[Problem]:
    """A hint, if many boxes leave their image and another form fits them.

    Boxes are x, y, width, height in pixels; other tools write the second
    corner, the centre, y before x, or shares of the image.
    """
    images = {
        image['id']: (image['width'], image['height'])
        for image in content['images']
    }
    boxes = []
    for annotation in content['annotations']:
        box, key = annotation.get('bbox'), annotation.get('image_id')
        if (
            isinstance(box, list)
            and len(box) == 4
            and all(map(is_number, box))
            and not isinstance(key, (list, dict))
            and key in images
        ):
            boxes.append((box, images[key]))
    outside = [not _inside(box, size) for box, size in boxes]
    small = sum(max(map(abs, box)) <= 1 for box, _ in boxes)
    if boxes and small == len(boxes):
        text = (
            'all numbers are at most 1: they are shares of the image; '
            'multiply them by its width and height'
        )
        return [Problem(ERROR, 'boxes of another form', path, text)]
    few = 2 if len(boxes) <= 4 else LEAST
    if sum(outside) < max(few, SHARE * len(boxes)):
        return []
    for name, inside in FORMS.items():
        if sum(inside(*one) for one in boxes) >= FITTING * len(boxes):
            text = (
                f'{sum(outside)} of {len(boxes)} boxes leave their image as '
                f'[x, y, width, height] and fit as {name}: convert them'
            )
            return [Problem(ERROR, 'boxes of another form', path, text)]
    return []


def _inside(box, size):
    x, y, w, h = box
    return is_inside((x, y, x + w, y + h), size)


def _corners(box, size):
    x1, y1, x2, y2 = box
    return x2 > x1 and y2 > y1 and is_inside(box, size)


def _corners_rows_first(box, size):
    y1, x1, y2, x2 = box
    return _corners((x1, y1, x2, y2), size)


def _centre(box, size):
    x, y, w, h = box
    return _inside((x - w / 2, y - h / 2, w, h), size)


def _rows_first(box, size):
    y, x, h, w = box
    return _inside((x, y, w, h), size)


FORMS = {
    '[x1, y1, x2, y2]': _corners,
    '[y1, x1, y2, x2]': _corners_rows_first,
    '[y, x, height, width]': _rows_first,
    '[centre x, centre y, width, height]': _centre,
}
