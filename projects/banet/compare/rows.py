"""Finished runs as rows of a csv: written whole, mixed never."""

import csv
import io
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from subprocess import run

from ..utils.compat import PIP
from ..utils.errors import BanetError
from ..utils.files import put_whole
from ..utils.installed import installed, PROVIDERS
from ..utils.lock import hold
from .plan import Plan

FIELDS = (
    'plan',
    'network',
    'seed',
    'status',
    'parameters',
    'minutes',
    'threads',
    'device',
    'recipe',
    'start',
    'data',
    'versions',
    'commit',
    'options',
)
# What rows must agree in to be averaged, and how that is called.
SAME = dict(
    recipe='recipes',
    start='starts',
    data='data',
    versions='versions',
    device='devices',
)
FINISHED, DIVERGED = 'finished', 'diverged'
Row = dict[str, str]


class RowsError(BanetError):
    """Why rows cannot be read or averaged, with the remedy."""


def columns(plan: Plan) -> list[str]:
    """Names of the csv's columns: each metric's last and best value first."""
    metrics = [
        f'{metric.key} {which}'
        for metric in plan.metrics
        for which in ('last', 'best')
    ]
    return [*FIELDS[:4], *metrics, *FIELDS[4:]]


def read_rows(path: Path, plan: Plan) -> list[Row]:
    """The rows of a plan; none, if there is no file yet.

    Raises:
        RowsError: The file is of another plan or another list of metrics, or
            two of its rows are of one run or of different kinds.
    """
    if not path.exists():
        return []
    with open(path, newline='') as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    if list(reader.fieldnames or ()) != columns(plan):
        raise RowsError(
            f'{path} has the columns {reader.fieldnames}, the plan '
            f'{plan.name} writes {columns(plan)}: it is of other metrics or '
            'no result of tools/compare.py. Name another folder with '
            '--results.'
        )
    for row in rows:
        if row['plan'] != plan.name:
            raise RowsError(
                f'{path} holds rows of the plan {row["plan"]}, not of '
                f'{plan.name}: name another folder with --results.'
            )
        known = plan.networks.get(row['network'])
        if known is not None and row['options'] != plan.network_id(
            row['network']
        ):
            raise RowsError(
                f'{path}: {row["network"]} was trained with '
                f'{row["options"]}, the plan now says '
                f'{plan.network_id(row["network"])}. Give what is new another '
                'name, or move the file away.'
            )
    for (network, seed), count in Counter(map(run_of, rows)).items():
        if count > 1:
            raise RowsError(
                f'{path}: {network} of seed {seed} has more than one row, and '
                'would count as several seeds. Keep one of them.'
            )
    check_alike(rows, path)
    return rows


def kind_of(device: str) -> str:
    """Of a device, without its model."""
    return device.partition(' ')[0]


def differs(name: str, one: Row, other: Row) -> bool:
    """Whether what a column says keeps two rows from being averaged.

    Of devices the kind counts, not the model behind it.
    """
    if name == 'device':
        return kind_of(one[name]) != kind_of(other[name])
    return one[name] != other[name]


def check_alike(rows: Sequence[Row], path: Path) -> None:
    """Raise RowsError if rows differ in what must be the same to average."""
    for row in rows[1:]:
        first = rows[0]
        differ = [name for name in SAME if differs(name, row, first)]
        if differ:
            raise RowsError(
                f'{path}: {first["network"]} of seed {first["seed"]} and '
                f'{row["network"]} of seed {row["seed"]} have different '
                + ' and '.join(SAME[name] for name in differ)
                + ': '
                + '; '.join(f'{first[n]} and {row[n]}' for n in differ)
                + '. They are never averaged: move the file away and run the '
                'plan again, or use what the first rows used.'
            )


def run_of(row: Row) -> tuple[str, str]:
    """Network and seed."""
    return row['network'], row['seed']


def write_rows(path: Path, plan: Plan, rows: Sequence[Row]) -> None:
    """Write all rows: whole, or not at all."""
    with io.StringIO(newline='') as buffer:
        writer = csv.DictWriter(buffer, columns(plan), lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)
        path.parent.mkdir(parents=True, exist_ok=True)
        put_whole(buffer.getvalue().encode(), path)


def add_row(path: Path, plan: Plan, row: Row) -> None:
    """Add a row to those that other processes may have written meanwhile.

    A run that has a row keeps it.

    Raises:
        RowsError: See :func:`read_rows`.
    """
    with hold(path.parent):
        rows = read_rows(path, plan)
        if run_of(row) not in map(run_of, rows):
            write_rows(path, plan, [*rows, row])


def value(row: Row, name: str) -> float:
    """A number in a row; NaN where there is none."""
    return float(row[name]) if row[name] else math.nan


def versions() -> str:
    """The packages that decide what a training gives, with versions."""
    found = installed()
    names = [name for module in PIP for name in PROVIDERS[module]]
    return ', '.join(f'{n} {found[n]}' for n in names if n in found)


def commit(package: Path) -> str:
    """The commit of the code, marked with + if the code differs from it.

    Files that have changed elsewhere, such as the rows of finished runs, do
    not count. Empty if git does not know the code, as in an installed package.

    Args:
        package (Path): The package's folder, two below configs and tools.
    """

    def git(*args):
        return run(
            ['git', '-C', str(package), *args], capture_output=True, text=True
        ).stdout.strip()

    try:
        if not git('ls-files', '.'):
            return ''
        code = '.', '../../configs', '../../tools'
        changed = git('status', '--porcelain', '--untracked-files=no', *code)
        return git('rev-parse', '--short=10', 'HEAD') + (
            '+' if changed else ''
        )
    except OSError:  # no git
        return ''
