"""Means, deviations and paired intervals are those of the formulas."""

import math
import re
from dataclasses import replace
from statistics import mean

import pytest
from comparisons import PLAN, row
from matplotlib.backends.backend_agg import FigureCanvasAgg

from banet.compare.picture import draw
from banet.compare.plan import Metric
from banet.compare.table import as_markdown, differences, interval

# Student's t of 0.975, from tables: degrees of freedom -> quantile.
T = {1: 12.706, 2: 4.303, 4: 2.776, 9: 2.262}


@pytest.mark.parametrize('freedom', T)
def test_interval_is_students(freedom):
    values = [3 + 0.1 * i * (-1) ** i for i in range(freedom + 1)]
    n, average = len(values), sum(values) / len(values)
    deviation = (sum((v - average) ** 2 for v in values) / (n - 1)) ** 0.5
    found = interval(values)
    assert found.mean == pytest.approx(average, rel=1e-12)
    # Tables have four digits.
    half = T[freedom] * deviation / n**0.5
    assert found.half == pytest.approx(half, rel=2e-4)


def test_one_value_has_no_interval_and_none_has_nothing():
    assert math.isnan(interval([2.0]).half)
    assert str(interval([2.0])) == '+2.00 (one seed)'
    assert interval([]) is None


ROWS = [
    row('plain', 0, 50.0),
    row('plain', 1, 52.0),
    row('bav2', 0, 51.0),
    row('bav2', 1, 53.5),
]


def test_differences_are_those_of_each_seed():
    (metric,) = PLAN.metrics
    assert differences(ROWS, PLAN, 'bav2', metric) == [1.0, 1.5]
    # A seed that one of them lacks has no pair.
    assert differences(ROWS[1:], PLAN, 'bav2', metric) == [1.5]
    factor = Metric('top1', 'share', 0.01)
    assert differences(ROWS, PLAN, 'bav2', factor) == [0.01, 0.015]


def cells(text, network):
    (line,) = [x for x in text.splitlines() if x.startswith(f'| {network} |')]
    return [cell.strip() for cell in line.strip('|').split('|')]


def test_table_has_mean_deviation_and_difference():
    text = as_markdown(ROWS, PLAN, 'COMMAND')
    assert cells(text, 'plain') == [
        'plain',
        '2',
        '1.00',
        '2',
        '51.00 ± 1.41',
        '',
    ]
    half = T[1] * 0.25  # deviation of 1 and 1.5, over the root of 2
    assert cells(text, 'bav2')[-2:] == [
        '52.25 ± 1.77',
        f'+1.25 ({1.25 - half:+.2f} to {1.25 + half:+.2f})',
    ]
    assert '\nCOMMAND\n' in text


def test_diverged_run_is_counted_and_not_averaged():
    rows = [*ROWS, row('bav2', 2, math.nan, status='diverged')]
    text = as_markdown(rows, PLAN, '')
    assert cells(text, 'bav2')[1] == '3, 1 diverged'
    assert cells(text, 'bav2')[-2].startswith('52.25')
    only = [*ROWS[:2], row('bav2', 0, math.nan, status='diverged')]
    assert cells(as_markdown(only, PLAN, ''), 'bav2')[-2:] == ['', '']


@pytest.mark.parametrize('value', [math.nan, math.inf, ''])
def test_what_is_no_number_is_not_averaged(value):
    rows = [*ROWS, row('bav2', 2, 0.0)]
    rows[-1]['top1 last'] = str(value)
    found = cells(as_markdown(rows, PLAN, ''), 'bav2')
    assert found[-2].startswith('52.25')
    assert '3, 1 without a value' in found


def test_pairs_are_told_where_all_networks_lost_a_run():
    rows = [*ROWS, row('plain', 2, math.nan), row('bav2', 2, math.nan)]
    assert cells(as_markdown(rows, PLAN, ''), 'bav2')[-1].endswith('2 pairs')


def test_difference_of_some_seeds_alone_says_of_how_many():
    rows = [*ROWS, row('plain', 2, 57.0)]
    assert cells(as_markdown(rows, PLAN, ''), 'bav2')[-1].endswith('2 pairs')


def test_table_says_what_all_rows_were_made_with():
    rows = [row(threads='1', commit='b'), row(seed=1, threads='4', commit='a')]
    text = as_markdown(rows, PLAN, '')
    assert '\nthreads 1, 4, same; same; ' in text
    assert 'commits a, b.' in text


def test_every_title_has_its_cell():
    lines = [x for x in as_markdown(ROWS, PLAN, '').splitlines() if '|' in x]
    assert len({line.count('|') for line in lines}) == 1
    assert len(re.findall(r'\| --- ', lines[1])) == lines[1].count('---')


def ends(line):
    return [float(y) for y in line.get_ydata()]


def test_picture_has_a_dot_per_run_means_and_differences_with_intervals():
    upper, lower = draw(ROWS, PLAN).axes
    dots = [ends(x)[0] for x in upper.lines if x.get_marker() == 'o']
    assert sorted(dots) == [50, 51, 52, 53.5]
    bars = [ends(x)[0] for x in upper.lines if x.get_marker() != 'o']
    assert bars == [mean([50, 52]), 52.25]
    assert [t.get_text() for t in lower.get_xticklabels()] == ['plain', 'bav2']
    dots = [ends(x)[0] for x in lower.lines if x.get_marker() == 'o']
    assert dots == [1, 1.5]
    ((low, high),) = lower.collections[0].get_segments()
    half = T[1] * 0.25
    assert (low[1], high[1]) == pytest.approx(
        (1.25 - half, 1.25 + half), rel=2e-4
    )


def test_picture_of_one_network_has_no_differences():
    assert len(draw(ROWS[:2], PLAN).axes) == 1


def test_long_names_of_networks_do_not_touch():
    names = [f'bav2-calibrated{i}' for i in range(6)]
    plan = replace(PLAN, networks=dict.fromkeys(['plain', *names]))
    rows = [row(name, 0, 50.0) for name in plan.networks]
    figure = draw(rows, plan)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = figure.axes[-1].get_xticklabels()
    # Turned by 30 degrees, a line of text is this far from the next.
    xs = [t.get_window_extent(canvas.get_renderer()).x1 for t in texts]
    step = min(b - a for a, b in zip(xs, xs[1:]))
    height = texts[0].get_fontsize() * figure.dpi / 72
    assert step * math.sin(math.radians(30)) > height
