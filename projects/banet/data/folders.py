"""Folders of images: one per class, or images beside their labels."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from ..utils.files import files_below
from .images import IMAGES, PICTURES
from .report import ERROR, Problem
from .unread import check_junk, is_junk, lies_in_junk


def images_below(folder: Path) -> list[Path]:
    """The images in a folder and its sub-folders, in order.

    Without hidden ones, and what other programs left.
    """
    return sorted(
        p
        for p in files_below(folder)
        if p.suffix.lower() in IMAGES and not lies_in_junk(str(p), str(folder))
    )


def class_folders(folder: Path) -> list[Path]:
    """The folders in it, one per class, in the order of the labels."""
    return sorted(p for p in folder.iterdir() if p.is_dir())


def check_class_folders(folder: Path) -> list[Problem]:
    """Problems of a folder that is to hold one folder per class."""
    classes = class_folders(folder)
    if len(classes) < 2:
        text = f'holds {len(classes)} folders: it needs one per class'
        return [Problem(ERROR, 'no class folders', str(folder), text)]
    found = []
    for path in classes:
        if is_junk(path.name):
            text = 'would become a class: remove the folder'
            kind = 'folder that is no class'
            found.append(Problem(ERROR, kind, str(path), text))
            continue
        files = list(files_below(path))
        images = [str(p) for p in files if p.suffix.lower() in IMAGES]
        found += check_junk(images, str(path))
        if all(lies_in_junk(image, str(path)) for image in images):
            others = (p for p in files if p.suffix.lower() in PICTURES)
            found.append(no_images(path, others))
    return found


def no_images(folder: Path, others: Iterable[Path]) -> Problem:
    """What is wrong with a folder that holds these files instead."""
    counts = sorted(Counter(path.suffix for path in others).items())
    instead = ', '.join(f'{count} {suffix}' for suffix, count in counts)
    text = 'holds no image' + (
        f' but {instead}: convert them to PNG' if instead else ''
    )
    return Problem(ERROR, 'no images', str(folder), text)


def check_suffix(paths: list[Path]) -> list[Problem]:
    """Problems of files that mmseg finds by one suffix."""
    suffixes = Counter(path.suffix for path in paths)
    if len(suffixes) < 2:
        return []
    text = (
        'mixes '
        + ', '.join(f'{n} {s}' for s, n in suffixes.items())
        + ': mmseg takes one suffix per data set, so convert the others'
    )
    return [Problem(ERROR, 'several suffixes', str(paths[0].parent), text)]
