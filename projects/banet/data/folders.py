"""Folders of images: one per class, or images beside their labels."""

from collections import Counter
from pathlib import Path

from ..utils.text import shorten
from .images import IMAGES
from .report import ERROR, Problem


def images_in(folder: Path) -> list[Path]:
    """The images right in a folder, in order."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGES)


def check_images(folder: Path) -> list[Problem]:
    """Problems of a folder that is to hold images."""
    if images_in(folder):
        return []
    return [Problem(ERROR, 'no images', str(folder), 'holds no image')]


def class_folders(folder: Path) -> list[Path]:
    """The folders in it, one per class, in the order of the labels."""
    return sorted(p for p in folder.iterdir() if p.is_dir())


def check_class_folders(folder: Path) -> list[Problem]:
    """Problems of a folder that is to hold one folder per class."""
    classes = class_folders(folder)
    if len(classes) < 2:
        text = f'holds {len(classes)} folders: it needs one per class'
        return [Problem(ERROR, 'no class folders', str(folder), text)]
    return [problem for path in classes for problem in check_images(path)]


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


def check_pairs(images: Path, labels: Path) -> list[Problem]:
    """Problems of two folders: every image has a label of its name."""
    found = check_images(images) + check_images(labels)
    if found:
        return found
    files = images_in(images), images_in(labels)
    found = check_suffix(files[0]) + check_suffix(files[1])
    names = [{path.stem for path in paths} for paths in files]
    lost = sorted(names[0] - names[1])
    if lost:
        text = (
            f'{len(lost)} of {len(files[0])} images have no label of the same '
            f'name in {labels}: {shorten(lost)}'
        )
        found.append(Problem(ERROR, 'missing labels', str(images), text))
    return found
