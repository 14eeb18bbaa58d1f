"""Who loads weights: PyTorch's own method or mmengine's loader?"""

import sys
from types import FrameType
from typing import Optional

from mmengine.model import is_model_wrapper
from mmengine.runner.checkpoint import load_state_dict
from torch import nn


def is_for_a_twin(prefix: str) -> bool:
    """Whether another backbone of the model gets all of the weights.

    Such as ``teacher.backbone.`` beside ``student.backbone.``: wrappers for
    semi-supervised training hold a detector twice.

    Args:
        prefix (str): Of a backbone's names in what is loaded.
    """
    frame = _loader()
    parts = prefix.split('.')
    if frame is None or len(parts) < 3:
        return False
    # mmengine's loader hands each module its own part alone.
    names = frame.f_locals['state_dict']
    if any(name.startswith(prefix) for name in names):
        return False
    model = frame.f_locals['self' if _is_torchs(frame) else 'module']
    if is_model_wrapper(model):  # mmengine's loader looks into it, too
        model = model.module
    modules = {name for name, _ in model.named_modules()}
    places = {'.'.join(name.split('.')[: len(parts) - 1]) for name in names}
    return any(
        place.endswith(f'.{parts[-2]}') and place in modules
        for place in places
    )


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
        and _is_torchs(frame)
        and not frame.f_locals['strict']
    )


def _is_torchs(frame):
    return frame.f_code is nn.Module.load_state_dict.__code__
