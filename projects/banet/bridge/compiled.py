"""Blocks compiled one by one, where they stand.

One compiled function serves all blocks of a class; torch keeps a graph for
each kind of block that it meets (widths, stride, shortcut, mode), and one for
free image sizes as soon as a second size comes.
"""

import inspect
from collections.abc import Callable
from typing import Optional, Union

import torch

# Kinds of blocks of one class: stages, first block or not, training or not.
GRAPHS = 64
OFF = 'Leave out compile_blocks, or set it to False.'


def compile_options(wanted: Union[bool, dict]) -> Optional[dict]:
    """What ``compile_blocks`` says to torch.compile; None if it says no.

    Args:
        wanted (bool | dict): Whether to compile, or torch.compile's own
            arguments, such as ``dict(mode='max-autotune')``.

    Raises:
        TypeError: It is neither, or torch.compile has no such argument.
        ValueError: There is no such backend.
        RuntimeError: This torch cannot compile here.
    """
    if wanted is False:
        return None
    if not isinstance(wanted, (bool, dict)):
        raise TypeError(
            f'compile_blocks={wanted!r} is neither a bool nor a dict of '
            "torch.compile's arguments, such as dict(mode='max-autotune')."
        )
    options = {} if wanted is True else dict(wanted)
    known = set(inspect.signature(torch.compile).parameters) - {'model'}
    if unknown := sorted(options.keys() - known):
        raise TypeError(
            f'compile_blocks names {", ".join(unknown)}, which torch.compile '
            f'does not know; it has {", ".join(sorted(known))}.'
        )
    if not torch._dynamo.is_dynamo_supported():
        raise RuntimeError(
            f'compile_blocks: torch {torch.__version__} cannot compile with '
            f'this Python. {OFF}'
        )
    backend = options.get('backend', 'inductor')
    backends = torch._dynamo.list_backends(exclude_tags=())
    if isinstance(backend, str) and backend not in backends:
        raise ValueError(
            f'compile_blocks: torch.compile has no backend {backend!r} here; '
            f'it has {", ".join(sorted(backends))}.'
        )
    return options


def compiled(function: Callable, options: dict) -> Callable:
    """``function``, compiled once with these options for all who ask.

    Raises:
        RuntimeError: When it is called: nothing here can compile, such as no
            C++ compiler.
    """
    key = function, repr(sorted(options.items()))
    if key not in _COMPILED:
        _COMPILED[key] = _compile(function, dict(options))
    return _COMPILED[key]


_COMPILED: dict[tuple[Callable, str], Callable] = {}


def _compile(function, options):
    if 'recompile_limit' in inspect.signature(torch.compile).parameters:
        options.setdefault('recompile_limit', GRAPHS)
    else:
        config = torch._dynamo.config
        config.cache_size_limit = max(config.cache_size_limit, GRAPHS)
    fast = torch.compile(function, **options)

    def call(*args):
        try:
            return fast(*args)
        except torch._dynamo.exc.BackendCompilerFailed as error:
            inner = error.inner_exception
            reason = (str(inner).strip() or repr(inner)).splitlines()[0]
            raise RuntimeError(
                f'compile_blocks: nothing can be compiled here: {reason} {OFF}'
            ) from error

    return call
