"""The folder that a training writes to: whose it is, what can be resumed."""

import os
import re
import shutil
import zipfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Optional, Union

from mmengine.fileio import LocalBackend, register_backend

from ..utils.errors import BanetError
from ..utils.files import HOST, open_folder, put_whole, UNFINISHED

# Weights and two moments of Adam: about what a checkpoint takes.
BYTES_PER_PARAMETER = 12


class WorkDirError(BanetError):
    """Why a work dir cannot serve, with the remedy."""


class WholeFileBackend(LocalBackend):
    """mmengine's local files, written whole or not at all.

    Upstream's backend opens the checkpoint itself for writing: a kill or a
    full disk leaves half of it under its final name.
    """

    def put(self, obj: bytes, filepath: Union[str, Path]) -> None:
        """Write ``obj`` to ``filepath``; it is there whole, or as before.

        Raises:
            OSError: It cannot be written; the message names the file and
                what it would take.
        """
        os.makedirs(os.path.dirname(filepath) or '.', exist_ok=True)
        try:
            put_whole(obj, filepath)
        except OSError as error:
            raise OSError(
                error.errno,
                f'{filepath} ({len(obj) / 1e6:.0f} MB) cannot be written: '
                f'{error.strerror}. What was saved before it is whole: make '
                'room and go on with --resume',
            ) from error


def write_whole_files() -> None:
    """From here on, mmengine writes local checkpoints whole or not at all."""
    register_backend('local', WholeFileBackend, force=True, prefixes='')


def check_work_dir(path: str) -> None:
    """Make the work dir ``path``.

    Raises:
        WorkDirError: It cannot be written.
    """
    try:
        open_folder(path)
    except OSError as error:
        raise WorkDirError(
            f'work dir {path} cannot be written: {error}. '
            'Choose another with --work-dir.'
        ) from error


def check_owner(path: str, config: str) -> None:
    """Raise WorkDirError if ``path`` holds the run of another config.

    Args:
        path (str): The work dir.
        config (str): Path of the config that is going to train in it.
    """
    # mmengine leaves a copy of the config under the config's own name.
    owners = sorted(p.name for p in Path(path).glob('*.py'))
    if (
        owners
        and Path(config).name not in owners
        and (Path(path) / 'last_checkpoint').exists()
    ):
        raise WorkDirError(
            f'work dir {path} holds the run of {", ".join(owners)}: '
            f'{Path(config).name} would resume or overwrite its checkpoints. '
            'Choose another with --work-dir.'
        )


def check_space(path: str, parameters: int) -> None:
    """Raise WorkDirError if one checkpoint does not fit.

    Args:
        path (str): The work dir.
        parameters (int): Number of the model's parameters.
    """
    needed = BYTES_PER_PARAMETER * parameters
    free = shutil.disk_usage(path).free
    if free < needed:
        raise WorkDirError(
            f'the disk of work dir {path} has {free / 1e6:.0f} MB left, and '
            f'a checkpoint takes about {needed / 1e6:.0f} MB: make room, or '
            'choose another with --work-dir.'
        )


def remove_unfinished(path: str) -> None:
    """Remove what killed processes of this machine began to write.

    Call it in the one process that writes there. A restarted container gives
    the same process id again. On a shared file system other machines may be
    writing: what is theirs stays.
    """
    for file in Path(path).glob(f'.*{UNFINISHED}'):
        *_, host, number, _ = file.name.split('.')
        if host != HOST or not number.isdigit():
            continue
        pid = int(number)
        try:
            if pid == os.getpid():
                raise ProcessLookupError
            os.kill(pid, 0)  # is it running?
        except ProcessLookupError:
            with suppress(OSError):
                file.unlink()
        except PermissionError:  # it is, for someone else
            pass


def is_whole(path: Union[str, Path]) -> bool:
    """Whether a file that torch.save wrote is there to its last byte."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return False
    return _is_whole(str(path), found.st_size, found.st_mtime_ns)


@cache  # a large file is not read again for each who asks
def _is_whole(path, size, time):
    try:
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None  # compares every checksum
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def settle_last_checkpoint(path: str) -> Optional[str]:
    """Make upstream's note ``last_checkpoint`` name a whole checkpoint.

    mmengine resumes what that note says without a look at it. A kill can
    leave it naming half a file, one that was removed, or nothing; or name
    none but the last checkpoint, if it came between the two.

    Returns:
        str | None: What was mended, as a sentence; None if nothing was.
    """
    note = Path(path, 'last_checkpoint')
    if not note.exists():
        named, since = '', 0.0
    else:
        named, since = note.read_text().strip(), note.stat().st_mtime
        if _is_no_file(named):
            return None
    good = named and is_whole(named)
    for file in _latest_first(path):
        # Only what came after a good note: someone may have set it back.
        if good and (
            _number(file) <= _number(Path(named))
            or file.stat().st_mtime <= since
        ):
            break
        if is_whole(file):
            put_whole(str(file).encode(), note)
            return (
                f'last_checkpoint names {named or "nothing"}; '
                f'{file.name} is the last whole checkpoint: going on there.'
            )
    if good or not named and not note.exists():
        return None
    note.unlink(missing_ok=True)
    return (
        f'last_checkpoint names {named or "nothing"}, and there is no whole '
        f'checkpoint in {path}: training starts anew.'
    )


def can_resume(path: str) -> bool:
    """Whether a resumed training has a whole checkpoint to go on from.

    The same before and after :func:`settle_last_checkpoint`, which one of
    several processes calls.
    """
    try:
        named = Path(path, 'last_checkpoint').read_text().strip()
    except FileNotFoundError:
        named = ''
    return (
        _is_no_file(named)
        or bool(named and is_whole(named))
        or any(map(is_whole, _latest_first(path)))
    )


def _is_no_file(named):
    """What a note names: something in a store, or DeepSpeed's folder."""
    return '://' in named or bool(named and Path(named).is_dir())


def _latest_first(path):
    """The checkpoints to resume in a work dir."""
    files = [file for file in Path(path).glob('*.pth') if _number(file) >= 0]
    return sorted(files, key=_number, reverse=True)


def _number(path):
    """Epoch or iteration of a checkpoint to resume; -1 for other files."""
    found = re.fullmatch(r'(?:epoch|iter)_(\d+)\.pth', path.name)
    return int(found[1]) if found else -1
