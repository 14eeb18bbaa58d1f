"""Figures of images beside what a network makes of them."""

import textwrap
from pathlib import Path
from typing import Optional

import numpy as np
from matplotlib.axes import Axes

from ..utils.figure import COLOUR_MAP, COLOURS, make_figure, save
from ..utils.outfolder import OutFolder
from .features import draw, strongest
from .targets import Target

SIDE = 2.6  # inches of a picture
# What is explained and its map (h, w); None where it is not found.
Found = Optional[tuple[Target, np.ndarray]]


def plot_cam(
    name: str,
    shown: np.ndarray,
    rows: list[tuple[str, list[Found]]],
    columns: list[str],
    out: OutFolder,
) -> Path:
    """One figure per image: a row per target, a column per network.

    Args:
        name (str): Of the file.
        shown (ndarray): The image, (h, w, 3), RGB.
        rows (list[tuple]): Name of each target, and per network its
            :class:`Target` and map (h, w), or None where it is not found.
        columns (list[str]): Names of the networks.
        out (OutFolder): Where to write.
    """
    h, w = shown.shape[:2]
    figure = make_figure(
        SIDE * (1 + len(columns)) + 0.9,
        (SIDE * min(1.6, h / w) + 0.35) * len(rows) + 0.35,
    )
    grid = figure.subplots(len(rows), 1 + len(columns), squeeze=False)
    picture = None
    for line, (label, found) in zip(grid, rows):
        line[0].imshow(shown)
        line[0].set_ylabel(label, fontsize=9)
        for axes, entry in zip(line[1:], found):
            axes.imshow(shown)
            if entry is None:
                axes.set_xlabel('not found')
                continue
            target, heat = entry
            picture = axes.imshow(
                heat,
                COLOUR_MAP,
                vmin=0,
                vmax=1,
                alpha=0.65,
                extent=(-0.5, w - 0.5, h - 0.5, -0.5),
            )
            notes = [f'{target.score:.2f}'] if target.score is not None else []
            if not heat.any():
                notes.append('no activation speaks for it')
            axes.set_xlabel(', '.join(notes), fontsize=9)
        for axes, entry in zip(line, [found[0], *found]):
            if entry and entry[0].box is not None:
                _draw_box(axes, entry[0].box, w, h)
    for axes, title in zip(grid[0], ['image', *columns]):
        axes.set_title(title, fontsize=9)
    for axes in grid.flat:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_xlim(-0.5, w - 0.5)
        axes.set_ylim(h - 0.5, -0.5)
    if picture is not None:
        figure.colorbar(
            picture, ax=grid, label='activation, of the largest', pad=0.02
        )
    return save(figure, out, name)


def _draw_box(axes: Axes, box: np.ndarray, w: int, h: int) -> None:
    x1, y1, x2, y2 = box * [w, h, w, h]
    axes.plot(
        [x1, x2, x2, x1, x1],
        [y1, y1, y2, y2, y1],
        color=COLOURS[4],
        linewidth=1.5,
    )


def plot_features(
    name: str,
    shown: np.ndarray,
    maps: dict,
    out: OutFolder,
    channels: int = 4,
) -> Path:
    """One figure per image: a row per layer; mean and strongest channels.

    Args:
        name (str): Of the file.
        shown (ndarray): The image, (h, w, 3), RGB.
        maps (dict): Per layer its maps, a Tensor (C, H, W).
        out (OutFolder): Where to write.
        channels (int): Shown per layer. Defaults to 4.
    """
    h, w = shown.shape[:2]
    side = 0.75 * SIDE
    figure = make_figure(
        side * (2 + channels) + 0.4,
        (side * min(1.6, h / w) + 0.3) * len(maps) + 0.3,
    )
    grid = figure.subplots(len(maps), 2 + channels, squeeze=False)
    for line, (layer, features) in zip(grid, maps.items()):
        line[0].imshow(shown)
        line[0].set_ylabel(
            f'{layer.removeprefix("backbone.")}\n'
            f'{features.shape[0]} x {features.shape[1]} x {features.shape[2]}'
        )
        line[1].imshow(draw(features))
        line[1].set_title('mean', fontsize=9)
        chosen = strongest(features, channels)
        for axes, channel in zip(line[2:], chosen):
            axes.imshow(draw(features, channel))
            axes.set_title(f'channel {channel}', fontsize=9)
        for axes in line[2 + len(chosen) :]:
            axes.set_visible(False)
    for axes in grid.flat:
        axes.set_xticks([])
        axes.set_yticks([])
    return save(figure, out, name)


def panel_title(config_file: str, layer: str) -> str:
    """Names of a config and a layer, broken for the title of a picture."""
    return '\n'.join([*textwrap.wrap(Path(config_file).stem, 30), layer])
