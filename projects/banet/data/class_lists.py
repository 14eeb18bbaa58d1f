"""Lists of classes as tools write them: names, colours, values."""

import csv
from pathlib import Path
from typing import Optional

from ..utils.colours import palette

# Where tools put a list beside the images or labels.
NAMES = 'classes.txt', 'labelmap.txt', '_classes.csv', 'class_dict.csv'
HEADERS = (
    'name',
    'class',
    'class name',
    'class_name',
    'label',
    'pixel value',
)
Colour = tuple[int, int, int]


class ClassListError(ValueError):
    """Why a list of classes cannot be read."""


def find_list(*folders: Path) -> Optional[Path]:
    """A list in one of the folders or right above it."""
    for folder in folders:
        for place in (folder, folder.parent):
            for name in NAMES:
                if (place / name).is_file():
                    return place / name
    return None


def read_list(path: Path) -> tuple[list[str], list[Colour]]:
    """Names and colours of the classes, the first one for label 0.

    A line per class: a name, or a name and R G B, or a number from 0 on and a
    name; CVAT's ``labelmap.txt`` (``name:r,g,b:parts:actions``); Roboflow's
    ``_classes.csv`` (``Pixel Value, Class``), ``class_dict.csv``
    (``name,r,g,b``). Empty lines, those with # and headers are left out.

    Raises:
        ClassListError: It cannot be read, has less than two names, repeats
            one, or leaves out a value.
    """
    try:
        text = path.read_text(encoding='utf-8-sig')
    except (OSError, ValueError) as error:
        raise ClassListError(f'cannot be read: {error}') from error
    lines = [
        line
        for line in map(str.strip, text.splitlines())
        if line and not line.startswith('#')
    ]
    if len(lines) > 1 and _is_header(*lines[:2]):
        del lines[0]
    elif _are_numbered(lines):
        lines = [line.split(maxsplit=1)[1] for line in lines]
    if path.suffix.lower() == '.csv' and lines and lines[0][0].isdigit():
        found = _from_csv(lines)
    elif lines and all(line.count(':') == 3 for line in lines):
        found = [_from_labelmap(line) for line in lines]
    else:
        found = [_from_line(line) for line in lines]
    names = [name for name, _ in found]
    if len(names) < 2 or len(set(names)) < len(names):
        raise ClassListError(
            f'has {len(names)} names, {len(set(names))} of them different: '
            'write at least two, each once'
        )
    colours = [colour for _, colour in found if colour is not None]
    if len(colours) < len(names):
        colours = palette(len(names))
    return names, colours


def _is_header(line, following):
    """``name,r,g,b``: as many parts as below, and no number among them."""
    return any(
        line.count(separator) == following.count(separator) > 0
        and line.partition(separator)[0].strip().lower() in HEADERS
        for separator in ':,'
    )


def _are_numbered(lines):
    """Whether each line is its number, from 0 on, and a name."""
    words = [line.split(maxsplit=1) for line in lines]
    return len(lines) > 1 and all(
        len(parts) == 2 and parts[0].rstrip(':') == str(i)
        for i, parts in enumerate(words)
    )


def _from_line(line: str) -> tuple[str, Optional[Colour]]:
    words = line.replace(',', ' ').split()
    numbers = words[-3:]
    if len(words) > 3 and all(word.isdigit() for word in numbers):
        r, g, b = map(int, numbers)
        return ' '.join(words[:-3]), (r, g, b)
    return line, None


def _from_labelmap(line: str) -> tuple[str, Optional[Colour]]:
    name, colour, *_ = line.split(':')
    values = colour.split(',')
    if len(values) == 3 and all(v.strip().isdigit() for v in values):
        return name, (int(values[0]), int(values[1]), int(values[2]))
    return name, None


def _from_csv(lines: list[str]) -> list[tuple[str, Optional[Colour]]]:
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines)]
    rows = [row for row in rows if len(row) > 1 and row[0].isdigit()]
    values = [int(row[0]) for row in rows]
    if values != list(range(len(rows))):
        raise ClassListError(
            f'has the values {values[:10]}: they must be 0, 1, 2, ... in order'
        )
    return [(row[1], None) for row in rows]
