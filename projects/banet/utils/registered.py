"""What a config's ``type`` means: a registered name, or the class itself."""

from typing import Any

from mmengine.registry import Registry


def class_of(registry: Registry, kind: Any) -> Any:
    """The class; None, if no class has that name.

    New-style configs hold classes where others hold names.
    """
    return registry.get(kind) if isinstance(kind, str) else kind
