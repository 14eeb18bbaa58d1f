"""The weights in what a checkpoint file holds, under the model's own names."""

import functools
import re
from collections.abc import Collection, KeysView
from typing import Any, Union

import torch
from mmengine.dist import barrier, get_rank
from mmengine.runner import checkpoint
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor

from ..bridge.warm_start import WRAPPED
from ..utils.errors import CheckpointError
from ..utils.text import shorten
from .files import read
from .locate import FETCHED, locate

# What wraps the weights in a file; the last ones are means over the training.
WRAPPERS = (
    'state_dict',
    'model',
    'model_state_dict',
    'module',
    'net',
    'network',
    'weights',
    'params',
)
EMA_WRAPPERS = ('state_dict_ema', 'model_ema', 'ema', 'params_ema')
EMA_HOOK = 'ema_state_dict'  # beside the average, which is the state_dict
# What other programs put before all names of a model, and within names.
PREFIXES = 'module.', 'model.', 'net.', 'network.', '_forward_module.'
WITHIN = '_orig_mod.', *WRAPPED


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
    wrapper = next((w for w in order if _is_filled(raw.get(w))), None)
    if wrapper is None and not _holds_tensors(raw):
        # An unknown name, if it is the only one that could be meant.
        holders = [key for key in raw if _holds_tensors(raw[key])]
        wrapper = holders[0] if len(holders) == 1 else None
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
        (w for w in WRAPPERS if _is_filled(inner.get(w))), None
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


def _is_filled(value):
    return isinstance(value, dict) and bool(value)


def _holds_tensors(value):
    return isinstance(value, dict) and any(
        isinstance(part, Tensor) for part in value.values()
    )


def within(found: dict[str, Tensor], names: Collection[str]) -> dict:
    """Weights of a model that stand below one prefix, whatever it is.

    Args:
        found (dict): Tensors by name.
        names (Collection[str]): Of the model's own tensors.

    Returns:
        dict: As they are, if some have their own name already, or if several
        prefixes could be meant.
    """
    probe = next(iter(names), '')
    prefixes = {n[: -len(probe)] for n in found if n.endswith(f'.{probe}')}
    if not probe or probe in found or len(prefixes) != 1:
        return found
    prefix = prefixes.pop()
    return {
        n.removeprefix(prefix): v
        for n, v in found.items()
        if n.startswith(prefix)
    }


def without_prefixes(
    found: dict[str, Tensor], names: Collection[str] = ()
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Weights under the model's own names, whatever wrapped the model.

    Parallel and compiled models, trainers' attributes: each leaves its mark
    in front of the names, or within them; in any order, more than once. A
    few names without it, such as a loss's or an average's, keep theirs.

    Args:
        found (dict): Tensors by name.
        names (Collection[str]): Of the model's tensors, where it is known: a
            prefix that they have themselves stays.

    Returns:
        tuple: The weights, and the prefixes that were taken off.
    """
    taken: list[str] = []
    for part in WITHIN:
        if any(part in name for name in found):
            found = {n.replace(part, ''): v for n, v in found.items()}
            taken.append(part)
    while prefix := next(
        (
            p
            for p in PREFIXES
            if _are_most((n.startswith(p) for n in found), found)
            and not _are_most((n in names for n in found), found)
        ),
        None,
    ):
        found = {n.removeprefix(prefix): v for n, v in found.items()}
        taken.append(prefix)
    return found, tuple(taken)


def _are_most(chosen, found):
    return 2 * sum(chosen) > len(found)


def for_mmengine(raw: Any, names: KeysView[str]) -> Any:
    """``raw`` as it is, or with its weights where mmengine looks for them.

    Args:
        raw (Any): Content of a file.
        names (KeysView[str]): Of the model's tensors.
    """
    if not isinstance(raw, dict):
        return raw
    theirs = raw.get('state_dict', raw)
    try:
        found = within(without_prefixes(unwrap(raw)[0], names)[0], names)
    except CheckpointError:
        return raw
    seen = {re.sub(r'^module\.', '', str(name)) for name in theirs}
    if len(found.keys() & names) <= len(seen & set(names)):
        return raw
    return {**raw, 'state_dict': found}


def load_from_local(filename: str, map_location=None) -> Any:
    """What mmengine's function of this name reads, and safetensors.

    Its name is part of what mmengine logs.
    """
    if str(filename).endswith('.safetensors'):
        return read(filename)
    return checkpoint.load_from_local(filename, map_location)


def load_from_http(filename: str, map_location=None) -> Any:
    """What :func:`locate` finds, fetched by one process for all.

    mmengine keeps a file under the last part of its address, and takes the
    ``latest.pth`` of one run for that of another.
    """
    if get_rank() == 0:
        locate(filename)
    barrier()
    return load_from_local(str(locate(filename)), map_location)


def let_mmengine_read_ours() -> None:
    """Safetensors, and what lies elsewhere, wherever a config names them."""
    _register(load_from_local, load_from_http)


def _register(local, http):
    for prefixes, loader in (('', local), (list(FETCHED), http)):
        CheckpointLoader.register_scheme(
            prefixes=prefixes, loader=loader, force=True
        )


def let_mmengine_unwrap(names: Collection[str]) -> None:
    """Let mmengine's loader find, for a model, what our readers find.

    Args:
        names (Collection[str]): Of the model's tensors.
    """
    names = dict.fromkeys(names).keys()  # a set that has an order

    def unwrapping(loader):
        @functools.wraps(loader)  # mmengine logs its name
        def unwrapped(filename, map_location=None):
            return for_mmengine(loader(filename, map_location), names)

        return unwrapped

    _register(unwrapping(load_from_local), unwrapping(load_from_http))
