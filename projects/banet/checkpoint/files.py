"""Read and write checkpoint files, without running what is in them and
without leaving half of one."""

import hashlib
import io
import os
import pickle
import re
import zipfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Union

import numpy as np
import torch

from ..utils.errors import CheckpointError
from ..utils.files import check_target, put_whole
from .locate import locate


class Inert:
    """Stands in for the objects of mmengine's log in its checkpoints."""


def _nothing(*args):
    """Stands in for ``getattr``, which mmengine's log is pickled with."""


def _harmless(path):
    """What a checkpoint of mmengine's may hold besides tensors.

    Numpy's arrays and numbers are read; mmengine's own objects, such as its
    log, become :class:`Inert`: none of their code runs.
    """
    core = np._core if hasattr(np, '_core') else np.core
    dtypes = {type(np.dtype(kind)) for kind in ('f4', 'f8', 'i4', 'i8', 'u4')}
    return [
        *(
            (Inert, name)
            for name in torch.serialization.get_unsafe_globals_in_checkpoint(
                path
            )
            if name.startswith('mmengine.')
        ),
        (_nothing, 'builtins.getattr'),
        core.multiarray._reconstruct,
        core.multiarray.scalar,
        np.ndarray,
        np.dtype,
        *dtypes,
    ]


def check_file(path: Union[str, Path]) -> None:
    """Raise CheckpointError unless ``path`` could be a checkpoint.

    Looks at its first bytes only: a whole zip file or a pickle, as torch.save
    writes them, or ``.safetensors``.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise CheckpointError(
                f'{path} is a folder, not a checkpoint.'
                if path.is_dir()
                else f'checkpoint {path} does not exist (looked in '
                f'{os.getcwd()}).'
            )
        with open(path, 'rb') as file:
            magic = file.read(4)
    except OSError as error:
        raise CheckpointError(f'{path} cannot be read: {error}.') from error
    if path.suffix == '.safetensors':
        return
    if magic[:1] != b'\x80' and not zipfile.is_zipfile(path):  # no pickle
        raise CheckpointError(
            f'{path} is not a checkpoint: it starts with {magic!r} and is '
            'neither a whole zip file nor a pickle, as torch.save writes '
            'them. Was the download broken off?'
        )


def read(path: Union[str, Path], trust: bool = False) -> Any:
    """Read a checkpoint to the CPU.

    Args:
        path (str | Path): File of torch.save, or ``.safetensors``; or where
            to fetch one, see :func:`banet.checkpoint.locate.locate`.
        trust (bool): Also run the code that a pickle may contain; only for
            files whose source you trust. Defaults to False.

    Raises:
        CheckpointError: It is missing, damaged, something else, or holds
            objects that only code could restore.
    """
    path = locate(path)
    check_file(path)
    try:
        if path.suffix == '.safetensors':
            return _read_safetensors(path)
        # torch < 2.6 cannot replace classes: there such files need trust.
        inert = (
            not trust
            and hasattr(
                torch.serialization, 'get_unsafe_globals_in_checkpoint'
            )
            and zipfile.is_zipfile(path)
        )
        with (
            torch.serialization.safe_globals(_harmless(path))
            if inert
            else nullcontext()
        ):
            return torch.load(path, map_location='cpu', weights_only=not trust)
    except pickle.UnpicklingError as error:
        named = re.search(r'GLOBAL (\S+)', str(error))
        reason = f' (it names {named[1]})' if named else ''
        raise CheckpointError(
            f'{path} holds more than tensors and plain values{reason}: '
            'reading it would run code, or it is damaged. If you trust its '
            'source, add --trust (trust=True in Python).'
        ) from error
    except CheckpointError:
        raise
    except Exception as error:  # whatever a damaged file raises
        raise CheckpointError(
            f'{path} is damaged or no checkpoint: '
            f'{_reason(error)}. Fetch it again.'
        ) from error


def _reason(error):
    """First line of what an error says, or its name if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _read_safetensors(path):
    try:
        from safetensors.torch import load_file
    except ModuleNotFoundError as error:
        raise CheckpointError(
            f'{path} needs the package safetensors: pip install safetensors.'
        ) from error
    return load_file(path)


def plain(value: Any) -> Any:
    """``value`` without what only code could restore: see :func:`read`.

    Keeps texts, numbers, None, and dicts and lists of them; numpy's numbers
    become Python's, anything else is left out.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items() if _can_be_plain(v)}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value if _can_be_plain(v)]
    return value


def _can_be_plain(value):
    kinds = (str, int, float, bool, type(None), np.generic, dict, list, tuple)
    return isinstance(value, kinds)


def sha256(path: Union[str, Path]) -> str:
    """Hash of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def write(
    checkpoint: dict,
    path: Union[str, Path],
    force: bool = False,
    publish: bool = False,
) -> Path:
    """Write ``checkpoint`` with torch.save: whole, or not at all.

    Args:
        checkpoint (dict): Tensors and plain values.
        path (str | Path): File to write.
        force (bool): Replace an existing file. Defaults to False.
        publish (bool): Append the first 8 digits of the file's sha256 to its
            name, as upstream's published checkpoints. Defaults to False.

    Returns:
        Path: The file written.

    Raises:
        CheckpointError: It exists or cannot be written.
    """
    path = Path(path)
    check_target(path, force or publish)  # published names differ
    with io.BytesIO() as buffer:
        torch.save(checkpoint, buffer)
        data = buffer.getvalue()
    if publish:
        digits = hashlib.sha256(data).hexdigest()[:8]
        path = path.with_name(f'{path.stem}-{digits}{path.suffix}')
        check_target(path, force)
    try:
        put_whole(data, path)
    except OSError as error:
        raise CheckpointError(
            f'{path} cannot be written: {_reason(error)}. '
            'Nothing was left there.'
        ) from error
    return path


def information(raw: dict) -> dict[str, Any]:
    """Epoch, iteration and metrics, wherever the formats keep them."""
    meta = raw.get('meta')
    info = {
        key: source[key]
        for source in (raw, meta if isinstance(meta, dict) else {})
        for key in ('epoch', 'iter', 'max_accuracy', 'metric')
        if isinstance(source.get(key), (int, float, str))
    }
    hub = raw.get('message_hub')
    if isinstance(hub, dict):
        for name, log in hub.get('log_scalars', {}).items():
            history = vars(log).get('_log_history')
            if name.startswith('val/') and history is not None:
                info[name.removeprefix('val/')] = float(history[-1])
        if 'best_score' in hub.get('runtime_info', {}):
            info['best score'] = hub['runtime_info']['best_score']
    return info
