"""What is wrong with a user's files, before a config is written for them."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Optional

from ..data.report import NOTE, Problem
from ..utils.errors import BanetError
from ..utils.text import shorten


class NewConfigError(BanetError):
    """Why no config was written, with the remedy."""


def refuse(
    problems: Iterable[Problem],
    option: str,
    kinds: Optional[Collection[str]] = None,
) -> None:
    """Raise NewConfigError for the first problem that stops a training.

    Args:
        problems (Iterable[Problem]): Of the files that an option names.
        option (str): The command line's name for them.
        kinds (Collection[str] | None): Those that are refused; None: all but
            notes. Defaults to None.
    """
    for problem in problems:
        stops = (
            problem.severity != NOTE
            if kinds is None
            else problem.kind in kinds
        )
        if stops:
            text = problem.text or problem.kind
            raise NewConfigError(f'{option} {problem.where} {text}.')


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


def check_same(ours: list, theirs: list, what: str) -> None:
    """Raise NewConfigError unless training and validation know the same."""
    if ours != theirs:
        alone = sorted(set(ours) ^ set(theirs)) or theirs
        raise NewConfigError(
            f'{what} of training and validation differ in {shorten(alone)}: '
            'both must have the same, in the same order.'
        )
