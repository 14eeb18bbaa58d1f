"""Curves of trainings, from the json lines that mmengine's logger writes."""

import json
from collections import defaultdict
from pathlib import Path

from ..utils.errors import BanetError
from ..utils.figure import COLOURS, make_figure, MARKERS, save, tidy
from ..utils.outfolder import OutFolder

# What counts, and what depends on the machine.
NO_CURVES = {'iter', 'epoch', 'step', 'time', 'data_time', 'memory'}
TRAINING = 'loss', 'lr'
MOST = 8  # panels, if none are named


class CurveError(BanetError):
    """Why there is nothing to draw, with the remedy."""


def read_run(work_dir: Path) -> dict[str, dict[int, float]]:
    """Values by name and step of one training.

    The logs of a run that was resumed are one: where both have a step, the
    later one holds.

    Args:
        work_dir (Path): Of the training.

    Returns:
        dict: Name to step to value. The steps of what is logged in training
        are iterations; those of metrics what upstream counts validations in,
        epochs or iterations; where it counts none, that of the last line of
        the training before, or the next that is free.

    Raises:
        CurveError: There is no log in the folder, or nothing in the log.
    """
    files = sorted(work_dir.glob('*/vis_data/scalars.json'))
    if not files:
        raise CurveError(
            f'{work_dir} holds no log of a training: '
            '*/vis_data/scalars.json is missing there. Name work dirs of '
            'tools/train.py.'
        )
    found: dict[str, dict[int, float]] = defaultdict(dict)
    trained = 0
    for file in files:
        placed = -1  # the last of the validations without a step
        for number, line in enumerate(file.read_text().splitlines(), 1):
            try:
                entry = json.loads(line)
            except ValueError:  # a run was killed while it wrote
                print(f'{file}:{number} is broken off, left out')
                continue
            trained = entry.get('iter', trained)
            step = entry.get('step')
            # Without epochs, upstream counts each validation as epoch 0's.
            if not step:
                step = placed = max(trained, placed + 1)
            for name, value in entry.items():
                if name not in NO_CURVES and isinstance(value, (int, float)):
                    found[name][step] = value
    if not found:
        raise CurveError(f'{work_dir}: its log is empty so far.')
    return dict(found)


def choose(runs: dict[str, dict]) -> list[str]:
    """The curves to draw if none are named: loss, rate and metrics."""
    names = list(dict.fromkeys(name for run in runs.values() for name in run))
    # Metrics are logged at fewer steps than the loss, by other lines.
    trained = {
        name
        for run in runs.values()
        for name in run
        if set(run[name]) == set(run.get('loss', ()))
    }
    metrics = [n for n in names if n not in trained]
    return [*(n for n in TRAINING if n in names), *metrics][:MOST]


def plot_runs(
    runs: dict[str, dict], out: OutFolder, keys: list[str] | None = None
) -> Path:
    """Draw the curves of several trainings into curves.png.

    Args:
        runs (dict): What :func:`read_run` returns, by name.
        out (OutFolder): Where to write.
        keys (list[str] | None): Names to draw, each in its own panel. None
            takes loss, learning rate and metrics. Defaults to None.

    Raises:
        CurveError: No run has a curve of that name.
    """
    known = sorted({name for run in runs.values() for name in run})
    for key in keys or ():
        if key not in known:
            raise CurveError(
                f'no run has {key!r}; there are {", ".join(known)}.'
            )
    keys = keys or choose(runs)
    columns = min(3, len(keys))
    lines = -(-len(keys) // columns)
    figure = make_figure(3.6 * columns, 2.5 * lines + 0.5)
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes, key in zip(grid.flat, keys):
        for i, (name, run) in enumerate(runs.items()):
            points = sorted(run.get(key, {}).items())
            axes.plot(
                [x for x, _ in points],
                [y for _, y in points],
                color=COLOURS[i % len(COLOURS)],
                linestyle=('-', '--', ':', '-.')[i // len(COLOURS) % 4],
                marker=MARKERS[i % len(MARKERS)] if len(points) < 20 else '',
                markersize=4,
                label=name,
            )
        axes.set_title(key)
        axes.set_xlabel(
            'iteration' if key in TRAINING else 'epoch or iteration'
        )
        tidy(axes)
    for axes in grid.flat[len(keys) :]:
        axes.set_axis_off()
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc='outside upper left',
        ncols=max(1, columns - 1),
        frameon=False,
    )
    return save(figure, out, 'curves')
