"""The folder that a training writes to: whose it is, what can be resumed."""

import os
import shutil
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Optional, Union

from mmengine.fileio import LocalBackend, register_backend

from .files import put_whole, UNFINISHED

# Weights, two moments of Adam: what a checkpoint takes at most.
BYTES_PER_PARAMETER = 12


class WorkDirError(ValueError):
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
    """From here on, mmengine writes local files whole or not at all."""
    register_backend('local', WholeFileBackend, force=True, prefixes='')


def check_work_dir(path: str, config: str, resume: bool = False) -> None:
    """Make the work dir ``path``.

    Args:
        path (str): The folder.
        config (str): Path of the config that is going to train in it.
        resume (bool): Whether it goes on with what lies there.

    Raises:
        WorkDirError: It cannot be written, or holds the run of another
            config, whose checkpoints would be resumed or overwritten.
    """
    try:
        os.makedirs(path, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise WorkDirError(
            f'work dir {path} cannot be written: {error}. '
            'Choose another with --work-dir.'
        ) from error
    # mmengine leaves a copy of the config under the config's own name.
    owners = sorted(p.name for p in Path(path).glob('*.py'))
    if (
        owners
        and Path(config).name not in owners
        and (Path(path) / 'last_checkpoint').exists()
    ):
        raise WorkDirError(
            f'work dir {path} holds the run of {", ".join(owners)}: its '
            f'checkpoints would be {"resumed" if resume else "overwritten"} '
            f'by {Path(config).name}. Choose another with --work-dir.'
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
            f'a checkpoint takes up to {needed / 1e6:.0f} MB: make room, or '
            'choose another with --work-dir.'
        )


def remove_unfinished(path: str) -> None:
    """Remove what killed processes of this machine began to write."""
    for file in Path(path).glob(f'.*{UNFINISHED}'):
        try:
            os.kill(int(file.name.split('.')[-2]), 0)  # is it running?
        except ProcessLookupError:
            with suppress(OSError):
                file.unlink()
        except PermissionError:  # it is, for someone else
            pass


def is_whole(path: Union[str, Path]) -> bool:
    """Whether a file that torch.save wrote is there to its last byte."""
    try:
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None  # compares every checksum
    except (OSError, zipfile.BadZipFile):
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
        if '://' in named or (named and Path(named).is_dir()):
            return None  # in a store; or of DeepSpeed's
    files = sorted(
        (p for p in Path(path).glob('*.pth') if not p.name.startswith('best')),
        key=lambda p: p.stat().st_mtime,
    )
    good = named and is_whole(named)
    # Only what is newer than a good note: someone may have set it back.
    for file in reversed(files):
        if good and file.stat().st_mtime <= since:
            return None
        if is_whole(file):
            if good and file.samefile(named):
                return None
            put_whole(str(file).encode(), note)
            return (
                f'last_checkpoint names {named or "nothing"}; '
                f'{file.name} is the last whole checkpoint: going on there.'
            )
    if good or not named and not note.exists():
        return None
    note.unlink()
    return (
        f'last_checkpoint names {named or "nothing"}, and there is no whole '
        f'checkpoint in {path}: training starts anew.'
    )
