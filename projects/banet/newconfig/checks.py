"""What is wrong with a user's files, before a config is written for them."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Optional

from ..data.report import ERROR, NOTE, Problem
from ..utils.errors import BanetError
from ..utils.text import shorten


class NewConfigError(BanetError):
    """Why no config was written, with the remedy."""


def refuse(
    problems: Iterable[Problem],
    option: str,
    lost: Optional[Collection[str]] = None,
) -> None:
    """Raise NewConfigError for the first problem that stops a training.

    Args:
        problems (Iterable[Problem]): Of the files that an option names.
        option (str): The command line's name for them.
        lost (Collection[str] | None): Kinds that are refused besides errors;
            None: all but notes. Defaults to None.
    """
    for problem in problems:
        if problem.severity == ERROR or (
            problem.severity != NOTE if lost is None else problem.kind in lost
        ):
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


def check_val_option(args, name: str) -> None:
    """Raise NewConfigError for an option that tells of no data."""
    value = getattr(args, name)
    if value is not None and not args.val_data:
        raise NewConfigError(
            f'--{name.replace("_", "-")} {value} belongs to --val-data, '
            'which is not given: add it, or leave both out.'
        )


def check_same(ours: list, theirs: list, what: str) -> None:
    """Raise NewConfigError unless training and validation know the same."""
    if ours != theirs:
        alone = sorted(set(ours) ^ set(theirs)) or theirs
        raise NewConfigError(
            f'{what} of training and validation differ in {shorten(alone)}: '
            'both must have the same, in the same order.'
        )
