"""Rows are kept whole, and two of different kinds are never averaged."""

import multiprocessing
import os
import subprocess
from pathlib import Path

import pytest
from comparisons import PLAN, row

from banet.compare.data import data_id
from banet.compare.rows import (
    add_row,
    check_alike,
    commit,
    read_rows,
    RowsError,
    versions,
    write_rows,
)


def test_rows_come_back_as_they_were_written(tmp_path):
    path = tmp_path / 'results' / 'mine.csv'
    assert read_rows(path, PLAN) == []
    rows = [row(), row('bav2', commit='a,"b"')]
    write_rows(path, PLAN, rows)
    assert read_rows(path, PLAN) == rows
    assert b'\r' not in path.read_bytes()


@pytest.mark.parametrize(
    'name,called',
    [
        ('recipe', 'recipes'),
        ('data', 'data'),
        ('versions', 'versions'),
        ('device', 'devices'),
    ],
)
def test_what_differs_between_rows_is_named(name, called):
    rows = [row(), row('bav2', 1, **{name: 'other'})]
    message = (
        f'plain of seed 0 and bav2 of seed 1 have different {called}: same '
        'and other. They are never averaged'
    )
    with pytest.raises(RowsError, match=message):
        check_alike(rows, Path('mine.csv'))


def test_two_models_of_gpu_are_one_device():
    rows = [row(device='cuda A'), row('bav2', device='cuda B')]
    assert check_alike(rows, Path('x.csv')) is None


def test_rows_may_differ_in_commit_and_minutes():
    rows = [row(), row('bav2', commit='b', minutes='9')]
    assert check_alike(rows, Path('x.csv')) is None


def test_rows_of_another_plan_are_refused(tmp_path):
    path = tmp_path / 'mine.csv'
    write_rows(path, PLAN, [row(plan='theirs')])
    with pytest.raises(
        RowsError, match='rows of the plan theirs, not of mine'
    ):
        read_rows(path, PLAN)


def test_table_of_something_else_is_refused(tmp_path):
    path = tmp_path / 'mine.csv'
    path.write_text('a,b\n1,2\n')
    with pytest.raises(RowsError, match=r"has the columns \['a', 'b'\]"):
        read_rows(path, PLAN)
    assert path.read_text() == 'a,b\n1,2\n'


def test_network_that_became_another_is_refused(tmp_path):
    path = tmp_path / 'mine.csv'
    write_rows(path, PLAN, [row(options='{"a": 1}')])
    with pytest.raises(RowsError, match='Give what is new another name'):
        read_rows(path, PLAN)


def test_data_is_known_by_names_and_sizes(tmp_path):
    (tmp_path / 'a').write_text('one')
    first = data_id([tmp_path])
    assert data_id([tmp_path]) == first
    (tmp_path / 'a').write_text('three')
    assert data_id([tmp_path]) != first


def test_data_behind_links_and_under_any_name_counts(tmp_path):
    disk, data = tmp_path / 'disk', tmp_path / 'data'
    disk.mkdir(), data.mkdir()
    (data / 'images').symlink_to(disk)
    name = os.fsdecode(b'caf\xe9.jpg')  # no UTF-8, as old archives have it
    (disk / name).write_text('one')
    first = data_id([data])
    (disk / name).write_text('three')
    assert data_id([data]) != first
    assert data_id([disk / name]) != data_id([tmp_path / 'none'])


def test_versions_and_commit_say_what_ran(tmp_path):
    assert 'torch 2.' in versions() and 'mmpretrain 1.' in versions()
    assert commit(tmp_path) == ''


def test_commit_is_marked_by_changed_code_alone(tmp_path, monkeypatch):
    monkeypatch.setenv('GIT_CONFIG_GLOBAL', os.devnull)  # signing, hooks

    def git(*args):
        who = '-c', 'user.name=a', '-c', 'user.email=a@b.c'
        subprocess.run(['git', '-C', tmp_path, *who, *args], check=True)

    package = tmp_path / 'projects/banet'
    recipe, rows = tmp_path / 'configs/a.py', tmp_path / 'results/a.csv'
    for file in (package / 'a.py', recipe, rows):
        file.parent.mkdir(parents=True)
        file.write_text('1')
    git('init', '--quiet')
    git('add', '.')
    git('commit', '--quiet', '--message', 'a')
    clean = commit(package)
    assert len(clean) == 10
    rows.write_text('2')
    assert commit(package) == clean
    recipe.write_text('2')
    assert commit(package) == clean + '+'
    # Installed into an environment within somebody's repository.
    (tmp_path / '.gitignore').write_text('.venv')
    installed = tmp_path / '.venv/lib/python/banet'
    installed.mkdir(parents=True)
    (installed / 'a.py').write_text('1')
    assert commit(installed) == ''


def test_rows_of_processes_at_the_same_time_are_all_kept(tmp_path):
    path = tmp_path / 'results' / 'mine.csv'

    def add(network):
        for seed in range(40):
            add_row(path, PLAN, row(network, seed))

    fork = multiprocessing.get_context('fork')
    processes = [
        fork.Process(target=add, args=(network,)) for network in PLAN.networks
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert len(read_rows(path, PLAN)) == 80


def test_run_that_two_sessions_found_finished_is_one_row(tmp_path):
    path = tmp_path / 'mine.csv'
    add_row(path, PLAN, row(top1=50.0))
    add_row(path, PLAN, row(top1=60.0))
    assert read_rows(path, PLAN) == [row(top1=50.0)]


def test_two_rows_of_one_run_are_refused(tmp_path):
    """As when the files of two machines were put together."""
    path = tmp_path / 'mine.csv'
    write_rows(path, PLAN, [row(), row('bav2'), row()])
    with pytest.raises(RowsError, match='plain of seed 0 has more than one'):
        read_rows(path, PLAN)
