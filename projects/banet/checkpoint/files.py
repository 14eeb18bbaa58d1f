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
from torch import Tensor

from ..bridge.warm_start import WRAPPED
from ..utils.errors import CheckpointError
from ..utils.files import check_target, put_whole
from ..utils.text import shorten
from .locate import locate

# What wraps the weights in a file; the last ones are means over the training.
WRAPPERS = ('state_dict', 'model', 'model_state_dict')
EMA_WRAPPERS = ('state_dict_ema', 'model_ema')
EMA_HOOK = 'ema_state_dict'  # beside the average, which is the state_dict
# What other programs put before all names of a model, and within names.
PREFIXES = 'module.', 'model.', 'net.', 'network.', '_forward_module.'
WITHIN = '_orig_mod.', *WRAPPED


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


def unwrap(
    raw: Any, ema: bool = False
) -> tuple[dict[str, Tensor], Union[str, None], tuple[str, ...]]:
    """Find the weights in what :func:`read` returns.

    Args:
        raw (Any): Content of a file.
        ema (bool): Take the moving average of the weights where there are
            both. Defaults to False.

    Returns:
        tuple: Tensors by name, what they stood under (None: nothing), and
        the names of what stood beside them.

    Raises:
        CheckpointError: There are none.
    """
    if not isinstance(raw, dict):
        raise CheckpointError(
            f'it holds a {type(raw).__name__}, not a dict of tensors. Save '
            "the model's state_dict()."
        )
    order = EMA_WRAPPERS + WRAPPERS if ema else WRAPPERS + EMA_WRAPPERS
    wrapper = next((w for w in order if isinstance(raw.get(w), dict)), None)
    if ema and wrapper not in EMA_WRAPPERS:
        raise CheckpointError(
            "it was written with mmengine's EMAHook, whose average is the "
            f'state_dict itself ({EMA_HOOK} are the last weights): leave '
            '--ema out.'
            if EMA_HOOK in raw
            else 'there is no moving average in it '
            f'({", ".join(EMA_WRAPPERS)}): leave --ema out.'
        )
    inner = raw[wrapper] if wrapper else raw
    # One wrapper may stand in another.
    while deeper := next(
        (w for w in WRAPPERS if isinstance(inner.get(w), dict)), None
    ):
        inner = inner[deeper]
    found = {
        str(n): v for n, v in inner.items() if isinstance(v, torch.Tensor)
    }
    if not found:
        raise CheckpointError(
            'it holds no tensors by name. Its entries: '
            f'{shorten(map(str, raw)) or "none"}.'
        )
    beside = [str(n) for n in raw if n not in (wrapper, 'meta')]
    return found, wrapper, tuple(beside) if wrapper else ()


def without_prefixes(
    found: dict[str, Tensor],
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Weights under the model's own names, whatever wrapped the model.

    Parallel and compiled models, trainers' attributes: each leaves its mark
    in front of all names, or within them; in any order, more than once.

    Returns:
        tuple: The weights, and the prefixes that were taken off.
    """
    taken: list[str] = []
    for part in WITHIN:
        if any(part in name for name in found):
            found = {n.replace(part, ''): v for n, v in found.items()}
            taken.append(part)
    while prefix := next(
        (p for p in PREFIXES if found and all(n.startswith(p) for n in found)),
        None,
    ):
        found = {n.removeprefix(prefix): v for n, v in found.items()}
        taken.append(prefix)
    return found, tuple(taken)


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
