"""What a training logs is read once, and a metric that is missing named."""

import json

import pytest
from comparisons import training

from banet.compare.folder import MetricError
from banet.compare.log import RunLog

STEP = dict(loss=1.0, lr=0.1, epoch=2, iter=20, step=20)


@pytest.fixture
def run(tmp_path):
    """Of four epochs."""
    return training(tmp_path)


def write(folder, *entries, process='20260101_000000', end='\n'):
    file = folder / process / 'vis_data/scalars.json'
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, 'a') as stream:
        stream.write('\n'.join(map(json.dumps, entries)) + end)


def test_lines_are_read_once_and_when_they_are_whole(tmp_path):
    log = RunLog(tmp_path)
    log.look()
    assert log.step is None and not log.metrics
    write(tmp_path, STEP)
    write(tmp_path, dict(STEP, epoch=3), end='')
    log.look()
    assert log.step == STEP
    write(tmp_path, end='\n')  # the rest of the line
    log.look()
    assert log.step['epoch'] == 3
    write(tmp_path, dict(STEP, epoch=4), process='20260102_000000')
    write(tmp_path, dict(top1=1.0, time=0.1, step=4))
    log.look()
    assert (log.step['epoch'], log.metrics) == (4, {'top1'})


def test_line_that_a_kill_broke_off_is_left_out(tmp_path):
    log = RunLog(tmp_path)
    write(tmp_path, STEP, end='\n{"loss": 1.\n')
    log.look()
    assert log.step == STEP


def test_progress_is_the_share_of_the_epochs(run):
    assert run.progress() == 0
    write(run.folder, STEP)
    assert run.progress() == 1.5 / 4


def test_progress_does_not_stop_where_no_epochs_are_logged(run):
    """As by ``LogProcessor(by_epoch=False)``, mmseg's."""
    write(run.folder, {k: v for k, v in STEP.items() if k != 'epoch'})
    assert run.progress() == 0


def test_last_value_is_the_last_validations(run):
    """A detector that finds nothing any more logs no metric."""
    write(run.folder, STEP, dict(top1=0.5, step=2))
    assert run.measured() == {'top1 last': '0.5', 'top1 best': '0.5'}
    write(run.folder, STEP, dict(time=0.1, step=4))
    assert run.measured() == {'top1 last': 'nan', 'top1 best': '0.5'}


@pytest.mark.parametrize('step,best', [(0, '0.7'), (2, '0.5')])
def test_best_value_is_of_the_validations_that_hold(step, best, run):
    """Those without a step are several; one of a step is the later one."""
    write(run.folder, STEP, dict(top1=0.7, step=step))
    write(run.folder, dict(top1=0.5, step=step), process='20260102_000000')
    assert run.measured() == {'top1 last': '0.5', 'top1 best': best}


def test_validation_without_results_is_no_missing_metric(run):
    """As of a detector that has found nothing yet."""
    write(run.folder, STEP, dict(time=0.1, data_time=0.1, step=2))
    assert run.progress() == 1.5 / 4
    write(run.folder, dict(top5=1.0, time=0.1, step=3))
    with pytest.raises(MetricError, match='has logged no top1; it has top5'):
        run.progress()
