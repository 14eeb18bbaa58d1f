"""What layers see: their feature maps, drawn by mmengine's Visualizer."""

from functools import cache

import cv2
import matplotlib
import numpy as np
import torch
from mmengine.visualization import Visualizer
from torch import Tensor

from ..utils.figure import COLOUR_MAP
from .layers import find_layer, LayerError, to_map
from .targets import View


def feature_maps(view: View, layers: list[str]) -> dict[str, Tensor]:
    """Outputs of layers for one image, each (C, H, W), on the CPU.

    Raises:
        LayerError: A layer is not there, does not run, or gives no map.
    """
    found, hooks = {}, []
    modules = {name: find_layer(view.model, name) for name in layers}
    for name, module in modules.items():

        def keep(module, args, output, name=name):
            try:
                # Cloned: a layer behind may work in place.
                size = tuple(view.x.shape[2:])
                found[name] = to_map(output, size).clone()
            except LayerError as error:
                raise LayerError(f'layer {name}: {error}') from error

        hooks.append(module.register_forward_hook(keep))
    try:
        with torch.no_grad():
            view(view.x)
    finally:
        for hook in hooks:
            hook.remove()
    for name in layers:
        if name not in found:
            raise LayerError(f'layer {name} does not run for an image.')
    return {name: found[name][0].float().cpu() for name in layers}


def draw(maps: Tensor, channel: int = -1) -> np.ndarray:
    """Draw one channel of maps, or the mean of all.

    Args:
        maps (Tensor): (C, H, W).
        channel (int): Which; -1 for the mean. Defaults to -1.

    Returns:
        ndarray: (H, W, 3), uint8, RGB; darkest at the least value.
    """
    if channel < 0:
        heat = Visualizer.draw_featmap(maps, channel_reduction='squeeze_mean')
    else:
        heat = Visualizer.draw_featmap(
            maps[channel : channel + 1], channel_reduction=None, topk=0
        )
    return _recolour(heat)


@cache
def _colours():
    steps = np.arange(256, dtype=np.uint8)
    rainbow = cv2.applyColorMap(steps, cv2.COLORMAP_JET)[:, 0, ::-1]
    own = matplotlib.colormaps[COLOUR_MAP](steps, bytes=True)[:, :3]
    return rainbow.astype(int) @ [65536, 256, 1], own


def _recolour(heat):
    """From the rainbow in which mmengine draws, which colour-blind readers
    cannot order, to this package's colours."""
    codes, own = _colours()
    order = np.argsort(codes)
    place = np.searchsorted(codes[order], heat.astype(int) @ [65536, 256, 1])
    return own[order[place]]


def strongest(maps: Tensor, count: int) -> list[int]:
    """Channels with the largest sums, as mmengine chooses them."""
    return maps.sum((1, 2)).topk(min(count, len(maps))).indices.tolist()
