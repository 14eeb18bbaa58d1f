"""Annotation files of other tools, which are no COCO files."""

import os
from collections.abc import Callable
from typing import Any, Optional

# What json files of other tools hold -> what they are, and the remedy.
EXPORT = 'export the annotations as COCO json'
FORMS: tuple[tuple[str, Callable[[Any], bool]], ...] = (
    ('LabelMe', lambda c: 'shapes' in c and 'imagePath' in c),
    ('VIA', lambda c: '_via_img_metadata' in c or '_via_settings' in c),
    (
        'VIA',
        lambda c: c and all(
            isinstance(v, dict) and 'regions' in v for v in c.values()
        ),
    ),
    ('Label Studio', lambda c: {'data', 'annotations'} <= set(_first(c))),
    ('Label Studio', lambda c: {'data', 'completions'} <= set(_first(c))),
    ('CreateML', lambda c: {'image', 'annotations'} <= set(_first(c))),
    ('COCO results', lambda c: {'image_id', 'score'} <= set(_first(c))),
    ('Supervisely', lambda c: 'objects' in c and 'size' in c),
    ('Datumaro', lambda c: {'items', 'categories'} <= set(c)),
    ('VIA 3', lambda c: {'project', 'metadata', 'view'} <= set(c)),
    ('Label Studio', lambda c: {'id', 'label', 'image'} <= set(_first(c))),
    ('Labelbox', lambda c: {'data_row', 'projects'} <= set(_first(c))),
    ('GeoJSON', lambda c: c['type'] == 'FeatureCollection'),
)  # fmt: skip


SUFFIXES = {
    '.txt': 'YOLO',
    '.yaml': 'YOLO',
    '.yml': 'YOLO',
    '.csv': 'VIA and TensorFlow',
    '.xml': 'Pascal VOC',
}


def _first(content):
    """The first entry of a list, if it is a dict."""
    first = content[0] if isinstance(content, list) and content else {}
    return first if isinstance(first, dict) else {}


def form_of(content: Any) -> Optional[str]:
    """Whose json it is, if it is known and not COCO's."""
    for name, fits in FORMS:
        try:
            if fits(content):
                return name
        except (TypeError, AttributeError, KeyError):  # another form
            continue
    return None


def form_of_name(path: str) -> str:
    """Whose file it is by its suffix, in words that go on a sentence."""
    if os.path.isdir(path):
        return ' but a folder'
    tool = SUFFIXES.get(os.path.splitext(path)[1].lower())
    return f' but in the form of {tool}' if tool else ''
