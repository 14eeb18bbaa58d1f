"""Does calling a layer do just what its class does, or does someone look on?

What stands in for a call must be seen by nobody: hooks, the global ones
included, and patched forward methods would miss it.
"""

from torch import nn
from torch.nn.modules import module as torch_module

HOOKS = (
    '_forward_hooks',
    '_forward_pre_hooks',
    '_backward_hooks',
    '_backward_pre_hooks',
)
# What torch 2.2's _has_any_global_hook() looks at, in torch 2.1, too.
GLOBAL_HOOKS = (
    '_global_forward_hooks',
    '_global_forward_pre_hooks',
    '_global_backward_hooks',
    '_global_backward_pre_hooks',
)


def _is_patched(cls):
    owner = next(c for c in cls.__mro__ if 'forward' in vars(c))
    forward = vars(owner)['forward']
    return forward.__module__ != owner.__module__ or hasattr(
        forward, '__wrapped__'
    )


def is_hooked(*layers: nn.Module) -> bool:
    """Whether hooks, the global ones included, see the layers' calls."""
    return any(getattr(torch_module, hooks) for hooks in GLOBAL_HOOKS) or any(
        'forward' in vars(layer)
        or any(getattr(layer, hooks) for hooks in HOOKS)
        for layer in layers
    )


def is_unwatched(*layers: nn.Module) -> bool:
    """Whether nobody sees or changes what calling the layers does."""
    return not is_hooked(*layers) and not any(
        _is_patched(type(layer)) for layer in layers
    )
