"""Rows as a table: means, deviations, paired differences."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Optional

from ..utils.compat import need
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
    """Seed to value, of the runs that ended with one."""
    return {
        row['seed']: value(row, name)
        for row in rows
        if row['network'] == network and not _is_lost(row, name)
    }


def _is_lost(row, name):
    return row['status'] == DIVERGED or not math.isfinite(value(row, name))


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
        whole = [row for row in own if row['status'] != DIVERGED] or own
        # As a detector that finds nothing at the end.
        empty = sum(
            row['status'] != DIVERGED
            and any(_is_lost(row, f'{m.key} last') for m in plan.metrics)
            for row in own
        )
        cells = [
            network,
            f'{len(own)}'
            + (f', {lost} diverged' if lost else '')
            + (f', {empty} without a value' if empty else ''),
            f'{value(own[0], "parameters") / 1e6:.2f}',
            f'{mean(value(row, "minutes") for row in whole):.0f}',
        ]
        for metric in plan.metrics:
            values = [
                metric.factor * v
                for v in by_seed(own, network, f'{metric.key} last').values()
            ]
            cells += [
                _spread(values),
                _difference(rows, plan, network, metric),
            ]
        lines.append('| ' + ' | '.join(cells) + ' |')
    first = rows[0]
    lines += [
        '',
        'Value at the end of the schedule: mean ± standard deviation over the '
        'seeds. Difference: paired by seed, with its 95 % interval (t).',
        '',
        f'threads {_all(rows, "threads")}, {_all(rows, "device")}; '
        f'{first["versions"]}; recipe {first["recipe"]}, data '
        f'{first["data"]}, commits {_all(rows, "commit")}.',
        '',
        '```bash',
        command,
        '```',
        '',
        f'![{plan.name}]({plan.name}.png)',
    ]
    return '\n'.join(lines) + '\n'


def _all(rows, name):
    """What the rows have in a column that lists."""
    found = {part for row in rows for part in row[name].split(', ')}
    return ', '.join(sorted(found))


def _difference(rows, plan, network, metric):
    pairs = differences(rows, plan, network, metric)
    if network == plan.baseline or not pairs:
        return ''
    most = max(
        sum(row['network'] == name for row in rows)
        for name in (network, plan.baseline)
    )
    few = f', {len(pairs)} pairs' if 1 < len(pairs) < most else ''
    return f'{interval(pairs)}{few}'


def _spread(values):
    if not values:
        return ''
    deviation = f' ± {stdev(values):.2f}' if len(values) > 1 else ''
    return f'{mean(values):.2f}{deviation}'
