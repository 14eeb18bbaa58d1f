"""Figures and tables of the bridges."""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from ..utils.figure import (
    COLOUR_MAP,
    COLOURS,
    make_figure,
    MARKERS,
    save,
    save_csv,
    tidy,
)
from ..utils.outfolder import OutFolder
from .bridge import Gates, Selection

CHANNELS = 12  # shown per figure
CLASSES = 20


def plot_selection(rows: list[Selection], out: OutFolder) -> list[Path]:
    """selection.csv, and selection.png: a_i and its effective weight.

    A column per stage, blocks from left to right as they follow each other.
    """
    table = [asdict(row) for row in rows]
    total: dict[str, float] = {}
    for row in rows:
        total[row.block] = total.get(row.block, 0) + row.effective
    for entry in table:
        # Of the block's sum, so that blocks can be compared.
        entry['share'] = entry['effective'] / total[entry['block']]
    stages = list(dict.fromkeys(row.stage for row in rows))
    quantities = [
        ('a', 'selection weight $a_i$'),
        ('effective', r'effective weight $|a_i|\,\|W_i\|$'),
    ]
    if np.isnan(rows[0].a):  # BAv1 has none
        quantities = [('effective', r'effective weight $\|W_i\|$, norm in it')]
    blocks = {
        s: list(dict.fromkeys(r.block for r in rows if r.stage == s))
        for s in stages
    }
    figure = make_figure(
        1.6 + sum(max(1.6, 0.45 * len(blocks[s])) for s in stages),
        2.5 * len(quantities) + 0.5,
    )
    grid = figure.subplots(
        len(quantities),
        len(stages),
        sharey='row',
        squeeze=False,
        width_ratios=[max(4, len(blocks[s])) for s in stages],
    )
    features = range(1, 1 + max(row.feature for row in rows))
    for line, (key, label) in enumerate(quantities):
        for column, stage in enumerate(stages):
            axes = grid[line, column]
            for i in features:
                own = [r for r in rows if r.stage == stage and r.feature == i]
                axes.plot(
                    [blocks[stage].index(r.block) for r in own],
                    [getattr(r, key) for r in own],
                    color=COLOURS[(i - 1) % len(COLOURS)],
                    marker=MARKERS[(i - 1) % len(MARKERS)],
                    label=f'feature {i}',
                )
            if key == 'a':
                axes.axhline(0, color='0.7', linewidth=0.8, zorder=0)
            axes.set_xticks(
                range(len(blocks[stage])),
                [b.rpartition('.')[2] for b in blocks[stage]],
            )
            axes.set_xlim(-0.5, len(blocks[stage]) - 0.5)
            tidy(axes)
            if line == 0:
                axes.set_title(stage)
            if line == len(quantities) - 1:
                axes.set_xlabel('block')
        grid[line, 0].set_ylabel(label)
        grid[line, 0].margins(y=0.1)
    for axes in grid[-1]:
        axes.set_ylim(bottom=0)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc='outside upper center', ncols=8, frameon=False
    )
    return [
        save_csv(table, out, 'selection'),
        save(figure, out, 'selection'),
    ]


def plot_gates(gates: Gates, out: OutFolder) -> list[Path]:
    """gates.csv, and histograms of all gates of every block, gates.png.

    The csv has a row per channel: mean, deviation, least and largest gate
    over the images, and its rank in the block, 1 for the most open one.
    """
    table = []
    for block, values in gates.items():
        mean = values.mean(0)
        rank = np.argsort(np.argsort(-mean)) + 1
        for channel in range(values.shape[1]):
            one = values[:, channel]
            table.append(
                dict(
                    block=block,
                    channel=channel,
                    mean=float(mean[channel]),
                    std=float(one.std()),
                    min=float(one.min()),
                    max=float(one.max()),
                    rank=int(rank[channel]),
                )
            )
    blocks = list(gates)
    columns = min(4, len(blocks))
    lines = -(-len(blocks) // columns)
    figure = make_figure(2.4 * columns + 0.6, 1.5 * lines + 0.9)
    grid = figure.subplots(lines, columns, squeeze=False, sharex=True)
    edges = np.linspace(0, 1, 41)
    for axes, block in zip(grid.flat, blocks):
        values = gates[block].ravel()
        axes.hist(
            values.clip(0, 1),
            edges,
            weights=np.full(values.size, 1 / values.size),
            color=COLOURS[0],
        )
        axes.axvline(
            values.mean(), color=COLOURS[4], linestyle='--', label='mean'
        )
        axes.set_title(block, fontsize=9)
        axes.set_xlim(0, 1)
        tidy(axes)
    for axes in grid.flat[len(blocks) :]:
        axes.set_axis_off()
    figure.supxlabel('gate (0 closed, 1 open)')
    figure.supylabel('share of channels and images')
    figure.legend(
        *grid[0, 0].get_legend_handles_labels(),
        loc='outside upper right',
        frameon=False,
    )
    return [save_csv(table, out, 'gates'), save(figure, out, 'gates')]


def plot_channels(gates: Gates, out: OutFolder) -> list[Path]:
    """channels.png: the most and the least open channels per stage.

    Those of its last block; bars are means over the images, lines go from
    the least to the largest gate.
    """
    stages = gates.blocks_by_stage()
    figure = make_figure(2.6 * len(stages) + 0.6, 4)
    grid = figure.subplots(1, len(stages), squeeze=False, sharex=True)[0]
    half = CHANNELS // 2
    for axes, blocks in zip(grid, stages.values()):
        values = gates[blocks[-1]]
        order = np.argsort(values.mean(0))
        most, least = order[-half:], order[:half]
        chosen = np.concatenate([least, most])
        mean = values[:, chosen].mean(0)
        axes.barh(
            range(len(chosen)),
            mean,
            xerr=[
                mean - values[:, chosen].min(0),
                values[:, chosen].max(0) - mean,
            ],
            color=[COLOURS[0]] * len(least) + [COLOURS[1]] * len(most),
            ecolor='0.3',
        )
        axes.set_yticks(range(len(chosen)), chosen, fontsize=8)
        axes.set_title(blocks[-1])
        axes.set_xlim(0, 1)
        tidy(axes)
    grid[0].set_ylabel('channel')
    figure.supxlabel(
        'gate (0 closed, 1 open): mean, and range over the images'
    )
    patches = [grid[0].patches[-1], grid[0].patches[0]]
    figure.legend(
        patches,
        [f'{half} most open', f'{half} most closed'],
        loc='outside upper center',
        ncols=2,
        frameon=False,
    )
    return [save(figure, out, 'channels')]


def plot_profiles(
    gates: Gates, labels: list[list[str]], out: OutFolder
) -> list[Path]:
    """profiles.csv, and profiles.png: the gates of each class.

    Args:
        labels (list[list[str]]): The classes of every image; an image counts
            for each of them.

    The csv has the mean gate of every class, block and channel. The figure
    has, for the last block of each stage, the channels whose means differ
    most between the classes.
    """
    count: dict[str, int] = {}
    for classes in labels:
        for name in classes:
            count[name] = count.get(name, 0) + 1
    names = sorted(count, key=lambda name: -count[name])
    if len(names) < 2:
        return []  # no two profiles to compare
    means = {
        block: np.stack(
            [values[[name in own for own in labels]].mean(0) for name in names]
        )
        for block, values in gates.items()
    }
    table = [
        {
            'block': block,
            'channel': channel,
            'class': name,
            'images': count[name],
            'mean': float(means[block][i, channel]),
        }
        for block in means
        for i, name in enumerate(names)
        for channel in range(means[block].shape[1])
    ]
    shown = names[:CLASSES]
    stages = gates.blocks_by_stage()
    figure = make_figure(2.6 * len(stages) + 1.4, 1.6 + 0.26 * len(shown))
    grid = figure.subplots(1, len(stages), squeeze=False, sharey=True)[0]
    for axes, blocks in zip(grid, stages.values()):
        values = means[blocks[-1]][: len(shown)]
        chosen = np.sort(np.argsort(-values.std(0))[:CHANNELS])
        picture = axes.imshow(
            values[:, chosen], COLOUR_MAP, vmin=0, vmax=1, aspect='auto'
        )
        axes.set_xticks(range(len(chosen)), chosen, rotation=90, fontsize=8)
        axes.set_title(blocks[-1])
    grid[0].set_yticks(
        range(len(shown)), [f'{n} ({count[n]})' for n in shown], fontsize=8
    )
    grid[0].set_ylabel('class (images)')
    figure.supxlabel('channels whose gate differs most between the classes')
    figure.colorbar(picture, ax=grid, label='mean gate')
    return [save_csv(table, out, 'profiles'), save(figure, out, 'profiles')]
