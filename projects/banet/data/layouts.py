"""How public tools lay out images and labels, and what mmseg needs of it.

mmseg takes the end off an image's name and puts another one in its place:
what these two ends are is found here.
"""

import os
from collections import Counter
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple, Optional

from ..utils.files import files_below
from ..utils.text import shorten
from .folders import check_suffix, images_below, no_images
from .report import ERROR, Problem


class Ends(NamedTuple):
    """Ends of the names of images and of their labels, such as ``.jpg`` and
    ``_mask.png``."""

    image: str
    label: str


def find_ends(
    images: Path, labels: Path, label_end: Optional[str] = None
) -> tuple[Optional[Ends], list[Problem]]:
    """Find out how images and labels belong together.

    Args:
        images (Path): Folder of the images, with sub-folders.
        labels (Path): Folder of the labels; may be the same.
        label_end (str | None): End of the labels' names, where names alone
            cannot tell.

    Returns:
        tuple: The ends, None if there are none, and the problems.
    """
    one_folder = images.resolve() == labels.resolve()
    files = [_below(images), _below(labels)]
    for folder, names in zip((images, labels), files):
        if not names:
            return None, [no_images(folder, files_below(folder))]
    names, theirs = files
    if one_folder:
        names, theirs = _apart(names, label_end)
    found = check_suffix([images / name for name in names])
    if found:
        return None, found
    suffix = Path(names[0]).suffix
    there = set(theirs)
    stems = [name[: -len(suffix)] for name in names]
    nearest = 0, stems, label_end or ''
    tail = _common_tail(stems)
    # The whole end, such as _leftImg8bit.png, only where the short one fails.
    for end in dict.fromkeys((suffix, tail + suffix)):
        stems = [name[: -len(end)] for name in names]
        fitting = _label_ends(stems, theirs)
        if label_end is not None:
            count = sum(stem + label_end in there for stem in stems)
            fitting = Counter({label_end: count})
        for label, count in fitting.items():
            nearest = max(nearest, (count, stems, label), key=itemgetter(0))
        whole = [e for e, count in fitting.items() if count == len(stems)]
        if len(whole) > 1:
            text = (
                f'its labels may be those that end in {" or ".join(whole)}: '
                'say which, --label-suffix'
            )
            kind = 'several labels per image'
            return None, [Problem(ERROR, kind, str(labels), text)]
        if whole:
            ends = Ends(end, whole[0])
            if one_folder and whole[0].endswith(end):
                text = (
                    f'its labels end in {end} as the images do, so mmseg '
                    'would take them for images: move them to a folder of '
                    'their own'
                )
                kind = 'labels among images'
                return None, [Problem(ERROR, kind, str(labels), text)]
            return ends, []
    return None, [_missing(*nearest[1:], there, images, labels)]


def _below(folder):
    """Names of all images below, relative to the folder, in order."""
    return [os.path.relpath(path, folder) for path in images_below(folder)]


def _apart(names, label_end):
    """Images and labels in one folder: labels are PNGs named after images."""
    stems = {name.removesuffix(Path(name).suffix) for name in names}

    def is_label(name):
        stem = name.removesuffix(Path(name).suffix)
        if label_end is not None:
            return name.endswith(label_end)
        return any(
            stem[:i] in stems for i in range(1, len(stem)) if stem[i] in '_-.'
        )

    labels = [name for name in names if is_label(name)]
    known = set(labels)
    images = [name for name in names if name not in known]
    if labels:
        return images or names, labels
    # One name each, told apart by the suffix alone.
    pngs = [name for name in names if name.lower().endswith('.png')]
    others = [name for name in names if not name.lower().endswith('.png')]
    return (others, pngs) if others and pngs else (names, names)


def _common_tail(stems: Sequence[str]) -> str:
    tail = os.path.commonprefix([stem[::-1] for stem in stems])[::-1]
    # From a separator on, and not all of a name.
    start = min((tail.find(c) for c in '_-' if c in tail), default=len(tail))
    return tail[start:]


def _label_ends(stems, labels) -> Counter:
    """Ends of labels whose rest is the stem of an image."""
    known = set(stems)
    return Counter(
        label[i:]
        for label in labels
        for i in range(1, len(label))
        if label[:i] in known and label[i] in '._-'
    )


def _missing(stems, end, there, images, labels):
    """Which images have no label, by the ends that fit most of them."""
    lost = sorted(stem for stem in stems if not end or stem + end not in there)
    text = (
        f'{len(lost)} of {len(stems)} images have no label '
        f'{f"NAME{end}" if end else "of the same name"} in {labels}: '
        f'{shorten(lost)}'
    )
    return Problem(ERROR, 'missing labels', str(images), text)
