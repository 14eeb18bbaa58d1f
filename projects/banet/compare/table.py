"""Rows as a table and a picture: means, deviations, paired differences."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Optional

from matplotlib.figure import Figure

from ..utils.compat import need
from ..utils.figure import COLOURS, make_figure, tidy
from .plan import Metric, Plan
from .rows import DIVERGED, Row, value

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean with its interval of :data:`LEVEL`; no interval of one value."""

    mean: float
    half: float

    def __str__(self):
        if math.isnan(self.half):
            return f'{self.mean:+.2f} (one seed)'
        low, high = self.mean - self.half, self.mean + self.half
        return f'{self.mean:+.2f} ({low:+.2f} to {high:+.2f})'


def interval(values: Sequence[float]) -> Optional[Interval]:
    """Mean of ``values`` and its interval, from Student's t over n - 1.

    None if there are no values.
    """
    if not values:
        return None
    if len(values) == 1:
        return Interval(values[0], math.nan)
    t = need('scipy.stats', 'scipy').t.ppf((1 + LEVEL) / 2, len(values) - 1)
    return Interval(
        mean(values), float(t) * stdev(values) / math.sqrt(len(values))
    )


def by_seed(rows: Sequence[Row], network: str, name: str) -> dict[str, float]:
    """Seed to value, of the runs that did not diverge."""
    return {
        row['seed']: value(row, name)
        for row in rows
        if row['network'] == network and row['status'] != DIVERGED
    }


def differences(
    rows: Sequence[Row], plan: Plan, network: str, metric: Metric
) -> list[float]:
    """``network`` minus the baseline, seed by seed, in the label's unit."""
    name = f'{metric.key} last'
    own = by_seed(rows, network, name)
    base = by_seed(rows, plan.baseline, name)
    return [
        metric.factor * (own[seed] - base[seed])
        for seed in own
        if seed in base
    ]


def as_markdown(rows: Sequence[Row], plan: Plan, command: str) -> str:
    """The table: a line per network, at the end of the schedule."""
    titles = ['network', 'seeds', 'parameters, M', 'minutes']
    for metric in plan.metrics:
        titles += [metric.label, f'minus {plan.baseline}, 95 % interval']
    lines = [f'# {plan.name}', '', '| ' + ' | '.join(titles) + ' |']
    lines.append('| --- ' * len(titles) + '|')
    for network in plan.networks:
        own = [row for row in rows if row['network'] == network]
        if not own:
            continue
        lost = sum(row['status'] == DIVERGED for row in own)
        cells = [
            network,
            f'{len(own)}' + (f', {lost} diverged' if lost else ''),
            f'{value(own[0], "parameters") / 1e6:.2f}',
            f'{mean(value(row, "minutes") for row in own):.0f}',
        ]
        for metric in plan.metrics:
            values = [
                metric.factor * v
                for v in by_seed(own, network, f'{metric.key} last').values()
            ]
            cells.append(_spread(values))
            found = interval(differences(rows, plan, network, metric))
            cells.append(
                '' if network == plan.baseline or not found else str(found)
            )
        lines.append('| ' + ' | '.join(cells) + ' |')
    first = rows[0]
    lines += [
        '',
        'Value at the end of the schedule: mean ± standard deviation over the '
        'seeds. Difference: paired by seed, with its 95 % interval (t).',
        '',
        f'{first["threads"]} threads, {first["device"]}; {first["versions"]}; '
        f'recipe {first["recipe"]}, data {first["data"]}, commits '
        + ', '.join(sorted({row['commit'] for row in rows}))
        + '.',
        '',
        '```bash',
        command,
        '```',
        '',
        f'![{plan.name}]({plan.name}.png)',
    ]
    return '\n'.join(lines) + '\n'


def _spread(values):
    if not values:
        return ''
    deviation = f' ± {stdev(values):.2f}' if len(values) > 1 else ''
    return f'{mean(values):.2f}{deviation}'


def draw(rows: Sequence[Row], plan: Plan) -> Figure:
    """A panel per metric: a dot per seed, a bar at each network's mean."""
    networks = [
        n for n in plan.networks if any(r['network'] == n for r in rows)
    ]
    figure = make_figure(
        (0.9 + 0.75 * len(networks)) * len(plan.metrics) + 0.6, 3
    )
    panels = figure.subplots(1, len(plan.metrics), squeeze=False)[0]
    seeds = sorted({row['seed'] for row in rows}, key=int)
    for axes, metric in zip(panels, plan.metrics):
        for x, network in enumerate(networks):
            found = by_seed(rows, network, f'{metric.key} last')
            values = {s: metric.factor * v for s, v in found.items()}
            for seed, y in values.items():
                # Beside each other, the same seed at the same place.
                shift = 0.3 * (
                    seeds.index(seed) / max(1, len(seeds) - 1) - 0.5
                )
                axes.plot(x + shift, y, 'o', color=COLOURS[0], markersize=4)
            if values:
                average = mean(values.values())
                axes.plot([x - 0.3, x + 0.3], [average] * 2, color=COLOURS[1])
        axes.set_xticks(range(len(networks)), networks)
        axes.set_xlim(-0.6, len(networks) - 0.4)
        axes.set_ylabel(metric.label)
        tidy(axes)
    return figure
