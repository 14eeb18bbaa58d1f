"""Files that lie among the data and that nobody reads."""

import os
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Optional

from ..utils.files import files_below
from ..utils.text import shorten
from .images import IMAGES, PICTURES
from .report import ERROR, LOST, NOTE, Problem

# What other programs leave in folders.
JUNK_FOLDERS = (
    '__MACOSX',
    '@eaDir',
    'lost+found',
    '$RECYCLE.BIN',
    'System Volume Information',
)


def is_junk(name: str) -> bool:
    """Whether a file or folder of that name, maybe hidden, is no data."""
    hidden = name.startswith('.') and name.strip('.') != ''
    return name in JUNK_FOLDERS or hidden


def lies_in_junk(path: str, folder: str) -> bool:
    """Whether it, or a folder between it and ``folder``, is no data."""
    return any(map(is_junk, os.path.relpath(path, folder).split(os.sep)))


def check_junk(read: Collection[str], folder: str) -> list[Problem]:
    """Images that other programs left, and that the data set reads."""
    junk = [p for p in read if lies_in_junk(p, folder)]
    if not junk:
        return []
    text = (
        f'{len(junk)} images such as {os.path.relpath(junk[0], folder)} are '
        "other programs' copies, and are read as data: remove them"
    )
    return [Problem(LOST, 'images that are no data', folder, text)]


def check_unread(
    folder: str, read: Collection[str], by_list: bool
) -> list[Problem]:
    """Count the files below ``folder`` that are not ``read``.

    Args:
        folder (str): Of the images.
        read (Collection[str]): Paths of what the data set reads.
        by_list (bool): Whether a list says what is read: what it leaves out
            may belong to another split.
    """
    known = {os.path.abspath(path) for path in read}
    images: Counter[str] = Counter()
    others: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for path in files_below(folder):
        if os.path.abspath(path) in known:
            continue
        suffix = path.suffix or path.name
        is_image = suffix.lower() in IMAGES + PICTURES
        counts = (
            images
            if is_image and not lies_in_junk(str(path), folder)
            else others
        )
        counts[suffix] += 1
        examples.setdefault(suffix, os.path.relpath(path, folder))
    found = []
    for counts, kind, severity in (
        (images, 'images that nobody reads', NOTE if by_list else LOST),
        (others, 'other files that nobody reads', NOTE),
    ):
        if counts:
            text = ', '.join(
                f'{count} {suffix} (such as {examples[suffix]})'
                for suffix, count in counts.most_common(5)
            )
            found.append(Problem(severity, kind, folder, text))
    return found


def check_class_names(classes: Collection[str], folder: str) -> list[Problem]:
    """Folders that became classes and are none."""
    junk = [name for name in classes if is_junk(name)]
    if not junk:
        return []
    text = (
        f'{shorten(junk)} became a class, and moves the labels of those '
        'behind it: remove the folder'
    )
    return [Problem(ERROR, 'folder that is no class', folder, text)]


def check_unread_files(
    leaf: dict,
    infos: list,
    classes: Optional[Sequence[str]],
    listed: Sequence[str] = (),
    dataset=None,
) -> list[Problem]:
    """Files beside those that a data set of images reads.

    Args:
        leaf (dict): Config of the data set.
        infos (list): Of its images.
        classes (Sequence[str] | None): Its classes.
        listed (Sequence[str]): Images that its annotations name besides.
        dataset (Dataset | None): What was built of it, which knows the
            folders and lists that follow from a ``split``.
    """
    read = [info['img_path'] for info in infos]
    root = leaf.get('data_root') or ''
    folders = _folders(read, root)
    by_class = isinstance(infos[0].get('gt_label'), int)
    by_list = bool(getattr(dataset, 'ann_file', leaf.get('ann_file')))
    found = []
    if by_class and not by_list and dataset is not None:
        folder = dataset.data_prefix.get('img_path') or folders[0]
        folders = [folder]
        found += check_class_names(classes or (), folder)
    labels = [i['seg_map_path'] for i in infos if i.get('seg_map_path')]
    for folder in folders:
        found += check_junk(_below(read, folder), folder)
        found += check_unread(folder, [*read, *labels, *listed], by_list)
    for folder in _folders(labels, root):
        if folder not in folders:
            found += check_unread(folder, labels, by_list)
    return found


def _folders(files, root):
    """The folder above all files, below the data's root; without a root, or
    outside of it, those that hold the files: else it might be the disk."""
    folders = sorted({os.path.dirname(os.path.abspath(f)) for f in files})
    common = os.path.commonpath(folders) if folders else ''
    if root and common and _below([common], os.path.expanduser(root)):
        return [common]
    found: list[str] = []
    for folder in folders:
        if not (found and _below([folder], found[-1])):
            found.append(folder)
    return found


def _below(files, folder):
    start = os.path.join(os.path.abspath(folder), '')
    return [f for f in files if f'{os.path.abspath(f)}/'.startswith(start)]
