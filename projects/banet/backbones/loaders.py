"""Who loads weights: PyTorch's own method or mmengine's loader?"""

import sys
from collections.abc import Iterable
from types import FrameType
from typing import Optional

from mmengine.runner.checkpoint import load_state_dict
from torch import nn


def is_for_a_twin(names: Iterable[str], prefix: str) -> bool:
    """Whether another backbone of the model gets all of the weights.

    Such as ``teacher.backbone.`` beside ``student.backbone.``: wrappers for
    semi-supervised training hold a detector twice.
    """
    parts = prefix.split('.')
    names = list(names)
    if len(parts) < 3 or any(name.startswith(prefix) for name in names):
        return False
    places = {tuple(name.split('.')[: len(parts) - 1]) for name in names}
    return any(place[-1:] == (parts[-2],) for place in places)


def _loader() -> Optional[FrameType]:
    """The call that loads: PyTorch's own method or mmengine's function."""
    frame: Optional[FrameType] = sys._getframe(1)
    loaders = nn.Module.load_state_dict.__code__, load_state_dict.__code__
    while frame is not None and frame.f_code not in loaders:
        frame = frame.f_back
    return frame


def takes_parts() -> bool:
    """Whether who loads asked for ``strict=False`` by PyTorch's own method.

    Its contract is to load what is there and to return the missing names.
    mmengine's loader (``init_cfg``, ``load_from``, ``load_checkpoint``) means
    whole backbones and would only print what does not fit.
    """
    frame = _loader()
    return (
        frame is not None
        and frame.f_code is nn.Module.load_state_dict.__code__
        and not frame.f_locals['strict']
    )


def all_names(state_dict: dict) -> Iterable[str]:
    """Names of all weights that are being loaded.

    mmengine's loader hands each module its own part, ``state_dict``, alone.
    """
    frame = _loader()
    return state_dict if frame is None else frame.f_locals['state_dict']
