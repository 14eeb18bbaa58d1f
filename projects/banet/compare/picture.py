"""Rows as a picture: a dot per seed, means, paired differences."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..utils.figure import COLOURS, make_figure, tidy
from .plan import Metric, Plan
from .rows import Row
from .table import by_seed, differences, interval


def draw(rows: Sequence[Row], plan: Plan) -> Figure:
    """Two panels per metric.

    Above, a dot per seed and a bar at each network's mean; below, where there
    are pairs, the differences to the baseline, their mean and its interval.
    """
    networks = [
        n for n in plan.networks if any(r['network'] == n for r in rows)
    ]
    seeds = sorted({row['seed'] for row in rows}, key=int)
    compared = any(
        differences(rows, plan, network, metric)
        for network in networks
        if network != plan.baseline
        for metric in plan.metrics
    )
    width = 0.9 + 0.75 * len(networks)
    figure = make_figure(width * len(plan.metrics) + 0.6, 5 if compared else 3)
    panels = figure.subplots(
        1 + compared, len(plan.metrics), squeeze=False, sharex='col'
    )
    for upper, metric in zip(panels[0], plan.metrics):
        upper.set_ylabel(metric.label)
        for x, network in enumerate(networks):
            found = by_seed(rows, network, f'{metric.key} last')
            values = {s: metric.factor * v for s, v in found.items()}
            for seed, y in values.items():
                # Beside each other, the same seed at the same place.
                place = seeds.index(seed) / max(1, len(seeds) - 1)
                _dot(upper, x + 0.3 * (place - 0.5), y)
            if values:
                _mean(upper, x, sum(values.values()) / len(values))
    for lower, metric in zip(panels[-1] if compared else (), plan.metrics):
        _draw_differences(lower, rows, plan, networks, metric)
    for axes in panels[-1]:
        axes.set_xticks(range(len(networks)), networks)
        axes.set_xlim(-0.6, len(networks) - 0.4)
        if max(map(len, networks), default=0) > 8:  # the names would touch
            axes.tick_params('x', rotation=30)
            for label in axes.get_xticklabels():
                label.set_horizontalalignment('right')
    for axes in panels.flat:
        tidy(axes)
    return figure


def _draw_differences(
    axes: Axes,
    rows: Sequence[Row],
    plan: Plan,
    networks: Sequence[str],
    metric: Metric,
) -> None:
    axes.set_ylabel(f'minus {plan.baseline}, 95 %')
    axes.axhline(0, color='grey', linewidth=0.8)
    for x, network in enumerate(networks):
        values = differences(rows, plan, network, metric)
        if network == plan.baseline or not values:
            continue
        for y in values:
            _dot(axes, x, y)
        found = interval(values)
        assert found is not None  # there are values
        _mean(axes, x, found.mean)
        if not math.isnan(found.half):
            axes.errorbar(
                x + 0.2, found.mean, found.half, color=COLOURS[1], capsize=3
            )


def _dot(axes, x, y):
    axes.plot(x, y, 'o', color=COLOURS[0], markersize=4)


def _mean(axes, x, y):
    axes.plot([x - 0.3, x + 0.3], [y, y], color=COLOURS[1])
