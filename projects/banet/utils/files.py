"""Write files whole or not at all, and over nobody's."""

import os
import platform
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Optional, Union

from .errors import CheckpointError

# End of the name of a file that is being written.
UNFINISHED = '.unfinished'
HOST = re.sub(r'\W', '-', platform.node())


def check_target(path: Union[str, Path], force: bool = False) -> None:
    """Raise CheckpointError if ``path`` must not or cannot be written."""
    path = Path(path)
    try:
        if path.is_dir():
            problem = f'{path} is a folder: name a file in it.'
        elif not path.parent.is_dir():
            problem = f'the folder {path.parent} does not exist.'
        elif path.exists() and not force:
            problem = f'{path} exists; --force (force=True) replaces it.'
        elif not os.access(path.parent, os.W_OK):
            problem = f'the folder {path.parent} is not writable.'
        else:
            return
    except OSError as error:  # a folder that may not be entered, a long name
        problem = f'{path} cannot be written: {error}.'
    raise CheckpointError(problem)


def check_apart(target: Union[str, Path], source: Union[str, Path]) -> None:
    """Raise CheckpointError if writing ``target`` would replace ``source``."""
    if all(map(os.path.exists, (target, source))) and os.path.samefile(
        target, source
    ):
        raise CheckpointError(
            f'{target} is both source and target: name another target.'
        )


def open_folder(path: Union[str, Path]) -> None:
    """Make a folder, and write to it for a moment.

    Raises:
        OSError: It cannot be made or written to.
    """
    os.makedirs(path, exist_ok=True)
    with tempfile.TemporaryFile(dir=path):
        pass


def files_below(
    folder: Union[str, Path],
    onerror: Optional[Callable[[OSError], None]] = None,
) -> Iterator[Path]:
    """All files in a folder and its sub-folders, links followed, none twice.

    Links that lead back to a folder above are left out, and so are folders
    that cannot be read, after ``onerror`` was called.
    """
    seen = set()
    for parent, folders, names in os.walk(
        folder, onerror=onerror, followlinks=True
    ):
        folders.sort()
        place = os.path.realpath(parent)
        if place in seen:
            folders.clear()
            continue
        seen.add(place)
        yield from (Path(parent, name) for name in sorted(names))


def put_whole(data: bytes, path: Union[str, Path]) -> None:
    """Write ``data`` to ``path``: whole, or not at all, even if killed.

    Raises:
        OSError: It cannot be written; what was there is as it was.
    """
    path = Path(path)
    # Whose it is: a folder may be shared by several machines.
    owner = f'{HOST}.{os.getpid()}'
    # A name that is as long as may be would be too long with all of this.
    unfinished = path.with_name(f'.{path.name[-40:]}.{owner}{UNFINISHED}')
    try:
        with open(unfinished, 'wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        with suppress(OSError):  # none was made, or the disk is read-only
            unfinished.unlink()
