"""Looks at a user's files before a config is written for them."""

from collections import Counter
from pathlib import Path

from ..errors import BanetError
from ..loading import shorten
from ..sources import IMAGES


class NewConfigError(BanetError):
    """Why no config was written, with the remedy."""


def check_folder(path, option: str) -> Path:
    """The folder that an option names.

    Raises:
        NewConfigError: It is not given or not there.
    """
    if path is None:
        raise NewConfigError(f'{option} is missing: name the folder.')
    if not Path(path).is_dir():
        raise NewConfigError(f'{option} {path} is no folder.')
    return Path(path)


def images_in(folder: Path, option: str) -> list[Path]:
    """The images right in a folder.

    Raises:
        NewConfigError: There are none.
    """
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGES)
    if not found:
        raise NewConfigError(f'{option} {folder} holds no image.')
    return found


def suffix_of(paths: list[Path], option: str) -> str:
    """The suffix that all files have, as mmseg needs it.

    Raises:
        NewConfigError: They have several.
    """
    suffixes = Counter(path.suffix for path in paths)
    if len(suffixes) > 1:
        raise NewConfigError(
            f'{option} {paths[0].parent} mixes '
            + ', '.join(f'{n} {s}' for s, n in suffixes.items())
            + ': mmseg takes one suffix per data set, so convert the others.'
        )
    return next(iter(suffixes))


def check_same(ours: list, theirs: list, what: str) -> None:
    """Raise NewConfigError unless training and validation know the same."""
    if ours != theirs:
        alone = sorted(set(ours) ^ set(theirs)) or theirs
        raise NewConfigError(
            f'{what} of training and validation differ in {shorten(alone)}: '
            'both must have the same, in the same order.'
        )
