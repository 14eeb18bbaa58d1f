"""Keep other processes and threads away from a place for a while."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def hold(folder: Path, wait: bool = True) -> Iterator[int]:
    """Hold a folder, which is made if need be, until the end of the block.

    The lock is a file in it, since network drives lock no folders.

    Yields:
        int: Its descriptor. A child process that inherits it holds the folder
        as long as it lives.

    Raises:
        BlockingIOError: Another one holds it, and ``wait`` is false.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / '.lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield lock.fileno()
