"""What a config's ``type`` means: a registered name, or the class itself."""

from inspect import Parameter, signature
from typing import Any, Optional

from mmengine.registry import Registry


def class_of(
    registry: Registry, kind: Any, scope: Optional[str] = None
) -> Any:
    """The class; None, if no class has that name.

    New-style configs hold classes where others hold names. Names are looked
    up as building does it, first in the scope's own registry; that of the
    default scope, if none is named.
    """
    if not isinstance(kind, str):
        return kind
    with registry.switch_scope_and_registry(scope) as scoped:
        return scoped.get(kind)


def default_of(kind: type, argument: str) -> Any:
    """What an argument of a class is, if it is left out; None, if that is not
    known."""
    for cls in kind.__mro__:
        if '__init__' in vars(cls):
            taken = signature(vars(cls)['__init__']).parameters
            found = taken.get(argument)
            if found and found.default is not Parameter.empty:
                return found.default
    return None
