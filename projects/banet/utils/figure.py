"""How the figures look: one style, colours that all readers tell apart."""

import csv
from collections.abc import Sequence
from io import BytesIO, StringIO
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from .colours import OKABE_ITO
from .files import put_whole
from .outfolder import OutFolder

COLOURS = [to_hex((r / 255, g / 255, b / 255)) for r, g, b in OKABE_ITO]
MARKERS = 'osD^vPX*'
# From dark to bright for everyone, also in grey.
COLOUR_MAP = 'cividis'


def make_figure(width: float, height: float) -> Figure:
    """A figure of that many inches, whose parts make room for each other."""
    return Figure(figsize=(width, height), layout='constrained')


def tidy(axes: Axes) -> None:
    """Take away the frame's half that carries no axis."""
    axes.spines[['top', 'right']].set_visible(False)


def save(figure: Figure, out: OutFolder, name: str) -> Path:
    """Write a figure as ``name``.png: whole, or not at all."""
    with BytesIO() as buffer:
        figure.savefig(buffer, format='png', dpi=110)
        path = out.file(f'{name}.png')
        put_whole(buffer.getvalue(), path)
    return path


def save_csv(rows: Sequence[dict], out: OutFolder, name: str) -> Path:
    """Write dicts of the same keys as ``name``.csv."""
    with StringIO(newline='') as buffer:
        writer = csv.DictWriter(buffer, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        path = out.file(f'{name}.csv')
        put_whole(buffer.getvalue().encode(), path)
    return path
