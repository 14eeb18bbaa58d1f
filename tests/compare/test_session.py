"""Real trainings through tools/compare.py: cut off, resumed, kept, refused."""

import csv
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch
from runs import make_digits, ROOT, tool

from banet.compare.folder import curves_of, MINUTES
from banet.compare.plan import read_plan
from banet.compare.session import Session
from banet.compare.training import ending, last_message
from banet.utils.lock import hold

PLAN = """
recipe = '{recipe}'
networks = dict(
    plain=dict(model=dict(backbone=dict(attention=None))),
    se=dict(model=dict(backbone=dict(attention=dict(
        type='SqueezeExcitation')))),
)
metrics = [dict(key='accuracy/top1', label='top-1, %')]
data = 'digits'
"""
RECIPE = f"""
_base_ = '{ROOT}/configs/demo/ba-resnet18_digits.py'
train_cfg = dict(max_epochs=6, val_interval=1)
train_dataloader = dict(batch_size=4)
default_hooks = dict(checkpoint=dict(interval=1), logger=dict(interval=1))
"""
SLOW_VALIDATION = """
val_dataloader = dict(
    batch_size=1,
    dataset=dict(
        _delete_=True,
        type='RepeatDataset',
        times=30,
        dataset={{_base_.val_dataloader.dataset}},
    ),
)
"""
GPUS = torch.cuda.device_count()
pytestmark = pytest.mark.slow


@pytest.fixture
def plan(tmp_path):
    make_digits(tmp_path / 'digits')
    (tmp_path / 'recipe.py').write_text(RECIPE)
    path = tmp_path / 'mine.py'
    path.write_text(PLAN.format(recipe='recipe.py'))
    return path


def arguments(plan, *more):
    folder = plan.parent
    return [
        plan,
        *('--data', folder, '--results', folder / 'results'),
        *('--work-dir', folder / 'runs', '--device', 'cpu', *more),
    ]


def compare(plan, *more):
    return tool('compare.py', *arguments(plan, *more))


def rows_of(plan):
    with open(plan.parent / 'results/mine.csv', newline='') as file:
        return list(csv.DictReader(file))


def stop(plan, sign, folder, kill=os.killpg):
    """Send a signal to the tool and its training, as a terminal does, when
    the training has written one more checkpoint."""
    before = set(folder.glob('*.pth'))
    process = subprocess.Popen(
        [sys.executable, ROOT / 'tools/compare.py', *arguments(plan)],
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    while set(folder.glob('*.pth')) <= before:
        assert process.poll() is None
        time.sleep(0.05)
    kill(process.pid, sign)
    return process.communicate()[1], process.returncode


def test_stopped_comparison_goes_on_and_finished_runs_are_not_repeated(plan):
    """Killed, ended alone and interrupted in the midst of the first run."""
    first = plan.parent / 'runs/mine/plain-0'
    stop(plan, signal.SIGKILL, first)
    text, code = stop(plan, signal.SIGTERM, first, os.kill)
    assert code == 143 and 'Traceback' not in text
    with hold(first, wait=False):  # its training has ended, too
        pass
    text, code = stop(plan, signal.SIGINT, first)
    assert code == 130
    assert text.endswith('compare.py: interrupted\n')
    assert 'Traceback' not in text
    assert not (first.parent / 'se-0').exists()
    assert not (plan.parent / 'results').exists()
    result = compare(plan)
    assert result.returncode == 0, result.stderr
    assert 'resumed' in (first / 'out.log').read_text().lower()
    rows = rows_of(plan)
    assert [(r['network'], r['seed']) for r in rows] == [
        ('plain', '0'),
        ('se', '0'),
    ]
    assert {r['status'] for r in rows} == {'finished'}
    for r in rows:
        assert 0 <= float(r['accuracy/top1 last']) <= 100
        assert float(r['accuracy/top1 best']) >= float(r['accuracy/top1 last'])
    assert int(rows[1]['parameters']) > int(rows[0]['parameters'])
    for name in ('mine.md', 'mine.png'):
        assert (plan.parent / 'results' / name).exists()
    before = (first / 'last_checkpoint').stat().st_mtime_ns
    again = compare(plan)
    assert again.returncode == 0
    assert 'nothing to train' in again.stderr
    assert (first / 'last_checkpoint').stat().st_mtime_ns == before
    assert rows_of(plan) == rows
    shown = compare(plan, '--show')
    assert (plan.parent / 'results/mine.md').read_text() in shown.stdout
    # Under another recipe no row joins them.
    recipe = plan.parent / 'recipe.py'
    recipe.write_text(RECIPE.replace('max_epochs=6', 'max_epochs=7'))
    plan.write_text(plan.read_text() + 'seeds = 2\n')
    mixed = compare(plan)
    assert mixed.returncode == 1
    assert 'have different recipes' in mixed.stderr
    assert rows_of(plan) == rows
    # Nor does what lies in the work dir become a row of it.
    renamed = compare(plan, '--results', plan.parent / 'other')
    assert renamed.returncode == 1
    assert 'plain-0 holds a run of other recipes' in renamed.stderr
    assert not (plan.parent / 'other').exists()


def test_diverged_run_is_kept_as_a_row_and_a_failed_one_named(plan):
    """The one beside the other, neither lost."""
    recipe = plan.parent / 'recipe.py'
    recipe.write_text(
        RECIPE.replace('max_epochs=6', 'max_epochs=2')
        + "optim_wrapper = dict(optimizer=dict(_delete_=True, type='SGD', "
        'lr=1e30))\nparam_scheduler = []\n'
    )
    plan.write_text(
        plan.read_text().replace(
            "type='SqueezeExcitation'", "type='SqueezeExcitation', reach=3"
        )
    )
    result = compare(plan)
    assert result.returncode == 1
    assert 'se, seed 0 ended with 1: ' in result.stderr
    assert 'reach' in result.stderr and 'out.log' in result.stderr
    (row,) = rows_of(plan)
    assert (row['network'], row['status']) == ('plain', 'diverged')
    assert '1, 1 diverged' in (plan.parent / 'results/mine.md').read_text()
    # Mended, it starts where nothing was trained yet.
    plan.write_text(plan.read_text().replace(', reach=3', ''))
    assert compare(plan).returncode == 0
    assert [r['network'] for r in rows_of(plan)] == ['plain', 'se']


def test_run_that_was_killed_in_its_last_validation_is_validated(plan):
    """Its last checkpoint is written before, and nothing is left to train."""
    recipe = plan.parent / 'recipe.py'
    recipe.write_text(
        RECIPE.replace('max_epochs=6', 'max_epochs=1') + SLOW_VALIDATION
    )
    first = plan.parent / 'runs/mine/plain-0'
    stop(plan, signal.SIGKILL, first)
    assert not any('top1' in f.read_text() for f in curves_of(first))
    result = compare(plan, '--networks', 'plain')
    assert result.returncode == 0, result.stderr
    assert 'Nothing is left to train' in (first / 'out.log').read_text()
    (row,) = rows_of(plan)
    assert 0 <= float(row['accuracy/top1 last']) <= 100


def test_misspelt_metric_stops_the_comparison_and_loses_nothing(plan):
    recipe = plan.parent / 'recipe.py'
    recipe.write_text(RECIPE.replace('max_epochs=6', 'max_epochs=1'))
    good = plan.read_text()
    plan.write_text(good.replace('accuracy/top1', 'accuracy/top2'))
    first = plan.parent / 'runs/mine/plain-0'
    result = compare(plan)
    assert result.returncode == 1
    assert 'plain, seed 0 has logged no accuracy/top2; it has acc' in (
        result.stderr
    )
    assert not (plan.parent / 'runs/mine/se-0' / MINUTES).exists()
    before = (first / 'last_checkpoint').stat().st_mtime_ns
    plan.write_text(good)
    assert compare(plan).returncode == 0
    assert [r['network'] for r in rows_of(plan)] == ['plain', 'se']
    assert (first / 'last_checkpoint').stat().st_mtime_ns == before


def test_console_that_is_gone_leaves_no_training_behind(plan):
    """As of ``compare.py PLAN 2>&1 | head -1``: a pipe without a reader."""
    recipe = plan.parent / 'recipe.py'
    recipe.write_text(RECIPE.replace('max_epochs=6', 'max_epochs=2'))
    process = subprocess.Popen(
        [sys.executable, ROOT / 'tools/compare.py', *arguments(plan)],
        stderr=subprocess.PIPE,
    )
    assert process.stderr.readline()  # how many runs there are
    process.stderr.close()
    assert process.wait() != 0
    second = plan.parent / 'runs/mine/se-0'
    with hold(second, wait=False):  # none trains there
        pass
    assert not (second / MINUTES).exists()
    assert [r['network'] for r in rows_of(plan)] == ['plain']


def test_whatever_goes_wrong_ends_the_trainings(plan, monkeypatch):
    class Stuck:
        name, stopped = 'stuck', False

        def __init__(self):
            self.end = threading.Event()

        def run(self):
            self.end.wait()

        def stop(self):
            self.stopped = True
            self.end.set()

        def row(self):
            return {}

    def fail(*args):
        raise OSError('no such device')

    folder = plan.parent
    mine = read_plan(plan, folder)
    session = Session(mine, folder, folder, 1, 1, 'cpu')
    monkeypatch.setattr(session, '_watch', fail)
    monkeypatch.setattr('banet.compare.session.add_row', lambda *args: None)
    trainings = [Stuck(), Stuck()]
    with pytest.raises(OSError, match='no such device'):
        session.run(trainings)
    assert all(training.stopped for training in trainings)


def test_table_without_rows_is_no_error(plan):
    result = compare(plan, '--show')
    assert result.returncode == 0
    assert 'mine.csv has no rows yet' in result.stdout
    assert not (plan.parent / 'results').exists()


def test_start_that_is_not_trained_is_named_before_anything_runs(plan):
    plan.write_text(plan.read_text() + "start = dict(plan='first')\n")
    result = compare(plan)
    assert result.returncode == 1
    assert 'run tools/compare.py with the plan first and --work-dir' in (
        result.stderr
    )
    assert not (plan.parent / 'runs').exists()


@pytest.mark.parametrize(
    'options,message',
    [
        (['--networks', 'bav9'], "no network 'bav9'; it has plain, se"),
        (['--seeds', '7'], 'no seed 7; it has 0'),
        (['--jobs', '0'], '--jobs: 0 is no number from 1 on'),
        (['--device', 'tpu'], '--device tpu: use cpu, cuda or cuda:0'),
        (['--device', 'cuda:99'], f'--device cuda:99: {GPUS} GPUs are visi'),
    ],
)
def test_what_cannot_be_asked_for_is_named(options, message, plan):
    result = compare(plan, *options)
    assert result.returncode in (1, 2)  # argparse's
    assert message in result.stderr


@pytest.mark.parametrize(
    'log,message',
    [
        ('Traceback:\n  File "a"\nKeyError: 1\n', 'KeyError: 1'),
        (
            'a\ntrain.py: no such net\n    it has: b\n\n',
            'train.py: no such net',
        ),
        ('', 'nothing was printed'),
    ],
)
def test_message_that_a_run_ended_with_is_its_first_line(log, message):
    assert last_message(log) == message


def test_signal_is_told_from_an_exit_code():
    assert ending(1) == 'ended with 1'
    assert ending(-15) == 'was ended by signal 15'
    assert ending(-9).endswith('signal 9, as a system out of memory does')
