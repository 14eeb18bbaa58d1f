"""The work dir: whole checkpoints, the right one resumed, nobody else's."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from runs import python_code, ROOT, short_run, tool

from banet.engine import workdir
from banet.engine.launch import prepare_work_dir, resumes_latest
from banet.engine.workdir import (
    check_owner,
    check_space,
    is_whole,
    remove_unfinished,
    settle_last_checkpoint,
    WholeFileBackend,
    WorkDirError,
)
from banet.utils.files import HOST


def save(folder, name, age=0):
    """A checkpoint, ``age`` seconds old."""
    path = folder / name
    torch.save(dict(state_dict=dict(weight=torch.ones(100))), path)
    os.utime(path, (time.time() - age,) * 2)
    return path


def cut(path, share=0.5):
    os.truncate(path, int(path.stat().st_size * share))


def note(folder, text, age=0):
    path = folder / 'last_checkpoint'
    path.write_text(str(text))
    os.utime(path, (time.time() - age,) * 2)
    return path


@pytest.mark.parametrize('share', [0, 0.1, 0.5, 0.999])
def test_cut_file_is_not_whole(share, tmp_path):
    path = save(tmp_path, 'epoch_1.pth')
    assert is_whole(path)
    cut(path, share)
    assert not is_whole(path)


def test_file_with_a_changed_byte_is_not_whole(tmp_path):
    path = save(tmp_path, 'epoch_1.pth')
    data = bytearray(path.read_bytes())
    start = data.find(torch.ones(100).numpy().tobytes())
    data[start + 200] ^= 1
    path.write_bytes(data)
    assert not is_whole(path)


def test_half_written_checkpoint_gives_way_to_the_one_before(tmp_path):
    first = save(tmp_path, 'epoch_1.pth', 30)
    half = save(tmp_path, 'epoch_2.pth', 20)
    cut(half)
    named = note(tmp_path, half, 10)
    message = settle_last_checkpoint(tmp_path)
    assert 'epoch_1.pth is the last whole checkpoint' in message
    assert named.read_text() == str(first)
    assert half.exists()  # nothing is thrown away


@pytest.mark.parametrize('text', ['', 'epoch_9.pth', '\0\0'])
def test_note_that_names_no_file_is_mended(text, tmp_path):
    last = save(tmp_path, 'epoch_2.pth', 20)
    save(tmp_path, 'epoch_1.pth', 30)
    named = note(tmp_path, text)
    assert settle_last_checkpoint(tmp_path)
    assert named.read_text() == str(last)


def test_checkpoint_newer_than_the_note_is_taken(tmp_path):
    """Killed between the checkpoint and the note about it."""
    note(tmp_path, save(tmp_path, 'iter_10.pth', 30), 29)
    last = save(tmp_path, 'iter_20.pth', 10)
    assert 'iter_20.pth' in settle_last_checkpoint(tmp_path)
    assert Path((tmp_path / 'last_checkpoint').read_text()) == last


def test_note_set_back_by_hand_is_kept(tmp_path):
    first = save(tmp_path, 'epoch_1.pth', 30)
    save(tmp_path, 'epoch_2.pth', 20)
    named = note(tmp_path, first, 10)
    assert settle_last_checkpoint(tmp_path) is None
    assert named.read_text() == str(first)


def test_note_is_kept_where_copying_gave_new_dates(tmp_path):
    last = save(tmp_path, 'epoch_2.pth', 30)
    named = note(tmp_path, last, 20)
    save(tmp_path, 'epoch_1.pth', 10)
    assert settle_last_checkpoint(tmp_path) is None
    assert named.read_text() == str(last)


@pytest.mark.parametrize(
    'name', ['best_coco_bbox_mAP_epoch_2.pth', 'epoch_2-1a2b3c4d.pth', 'x.pth']
)
def test_checkpoint_without_optimizer_is_not_resumed(name, tmp_path):
    """The best, the published, and files that only lie there."""
    save(tmp_path, name)
    assert settle_last_checkpoint(tmp_path) is None
    assert not (tmp_path / 'last_checkpoint').exists()


def test_without_a_whole_checkpoint_it_starts_anew(tmp_path):
    half = save(tmp_path, 'epoch_1.pth')
    cut(half)
    named = note(tmp_path, half)
    assert 'training starts anew' in settle_last_checkpoint(tmp_path)
    assert not named.exists()


def test_empty_folder_is_left_alone(tmp_path):
    assert settle_last_checkpoint(tmp_path) is None
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_full_disk_keeps_what_was_there(tmp_path):
    """A real process whose files cannot grow beyond 10 kB."""
    target = tmp_path / 'epoch_1.pth'
    target.write_text('precious')
    code = (
        'import resource, sys\n'
        'from banet.engine.workdir import WholeFileBackend\n'
        'resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n'
        'WholeFileBackend().put(bytes(100_000), sys.argv[1])\n'
    )
    result = python_code(code, target)
    assert result.returncode == 1
    assert 'epoch_1.pth (0 MB) cannot be written: ' in result.stderr
    assert 'go on with --resume' in result.stderr
    assert target.read_text() == 'precious'
    assert [p.name for p in tmp_path.iterdir()] == ['epoch_1.pth']


def test_killed_writers_file_is_removed_and_a_running_ones_kept(tmp_path):
    process = subprocess.Popen([sys.executable, '-c', ''])
    process.wait()
    start = tmp_path / f'.epoch_1.pth.{HOST}'
    dead = Path(f'{start}.{process.pid}.unfinished')
    alive = Path(f'{start}.{os.getppid()}.unfinished')
    own = Path(f'{start}.{os.getpid()}.unfinished')
    # Another machine on the same file system may be writing.
    others = tmp_path / f'.epoch_1.pth.other.{process.pid}.unfinished'
    own.touch()  # of a container before, which numbered alike
    for file in (dead, alive, others):
        file.touch()
    remove_unfinished(tmp_path)
    assert not dead.exists()
    assert not own.exists()
    assert alive.exists()
    assert others.exists()


@pytest.mark.parametrize(
    'launcher,variable',
    [
        ('pytorch', 'RANK'),
        ('slurm', 'SLURM_PROCID'),
        ('mpi', 'OMPI_COMM_WORLD_RANK'),
    ],
)
def test_only_the_first_process_tidies_the_work_dir(
    launcher, variable, tmp_path, monkeypatch
):
    for name in ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK'):
        monkeypatch.delenv(name, raising=False)
    args = argparse.Namespace(
        launcher=launcher, work_dir=str(tmp_path), resume=None, config='x.py'
    )
    left = tmp_path / f'.epoch_1.pth.{HOST}.{os.getpid()}.unfinished'
    left.touch()
    monkeypatch.setenv(variable, '1')
    prepare_work_dir(Config(), args)
    assert left.exists()
    monkeypatch.setenv(variable, '0')
    prepare_work_dir(Config(), args)
    assert not left.exists()


def test_backend_makes_the_folder(tmp_path):
    path = tmp_path / 'new' / 'file'
    WholeFileBackend().put(b'content', path)
    assert path.read_bytes() == b'content'


def test_work_dir_of_another_config_is_refused(tmp_path):
    (tmp_path / 'theirs.py').touch()
    check_owner(tmp_path, 'ours.py')  # nothing was saved yet
    note(tmp_path, save(tmp_path, 'epoch_1.pth'))
    with pytest.raises(WorkDirError, match='holds the run of theirs.py: ours'):
        check_owner(tmp_path, 'ours.py')
    (tmp_path / 'ours.py').touch()
    check_owner(tmp_path, 'ours.py')


@pytest.mark.parametrize(
    'resume,config,latest',
    [
        ('auto', {}, True),
        ('auto', dict(load_from='weights.pth'), True),  # mmdet drops it
        (True, {}, True),  # mmseg
        (True, dict(load_from='weights.pth'), True),  # keep_start drops it
        (None, dict(resume=True), True),
        (None, {}, False),
        (False, {}, False),
        ('epoch_3.pth', {}, False),
    ],
)
def test_latest_is_resumed_where_upstream_does_so(resume, config, latest):
    args = argparse.Namespace(resume=resume)
    assert resumes_latest(Config(config), args) == latest


def test_disk_without_room_for_a_checkpoint_is_named(tmp_path, monkeypatch):
    free = shutil.disk_usage(tmp_path)._replace(free=11_999_999)
    monkeypatch.setattr(workdir.shutil, 'disk_usage', lambda path: free)
    with pytest.raises(WorkDirError, match='12 MB left, .* about 12 MB'):
        check_space(tmp_path, 1_000_000)
    check_space(tmp_path, 999_999)


def start(digits, work_dir, *more):
    """A training of three epochs, three iterations each."""
    config, options = short_run('mmpretrain', digits, 3)
    options += ['train_dataloader.persistent_workers=False', *more]
    script = ROOT / 'tools/train.py'
    words = [script, config, '--work-dir', work_dir, '--resume', *options]
    return [str(word) for word in words]


@pytest.mark.slow
def test_run_killed_while_it_saves_ends_with_the_weights_of_a_calm_one(
    digits, tmp_path
):
    """SIGKILL while the second checkpoint is written, then --resume."""
    command = [sys.executable, *start(digits, tmp_path / 'killed')]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    pattern = '.epoch_2.pth.*.unfinished'
    while not list((tmp_path / 'killed').glob(pattern)):
        assert process.poll() is None, 'it ended before it was killed'
        time.sleep(0.0005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    second = tool('train.py', *command[2:])
    assert second.returncode == 0, second.stderr[-3000:]
    assert 'resumed epoch: 1, ' in second.stdout + second.stderr
    calm = tool('train.py', *start(digits, tmp_path / 'calm')[1:])
    assert calm.returncode == 0, calm.stderr[-3000:]
    a, b = (
        torch.load(tmp_path / run / 'epoch_3.pth', weights_only=False)
        for run in ('killed', 'calm')
    )
    for name, value in a['state_dict'].items():
        assert torch.equal(value, b['state_dict'][name]), name
    assert not list((tmp_path / 'killed').glob('.*'))


@pytest.mark.slow
def test_keeping_one_checkpoint_is_warned_of(digits, tmp_path):
    option = 'default_hooks.checkpoint.max_keep_ckpts=1'
    result = tool('train.py', *start(digits, tmp_path, option)[1:])
    assert result.returncode == 0, result.stderr[-3000:]
    assert 'train.py: max_keep_ckpts=1 removes the only' in result.stderr
