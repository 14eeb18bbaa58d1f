"""Kill a training again and again, resume it, and see what is left.

    python tests/stress/kill_resume.py [--task det seg cls] [--kills 20]
                                       [--seed 0] [--upstream]

Each task's demo, cut short, is killed (SIGKILL, the whole process group) at
random moments and, every third time, while a checkpoint is being written. It
is started again with --resume each time, until it is through. An undisturbed
run from the same seed is the measure. ``--upstream`` does it with the
library's own train.py, to show what the guard in tools/train.py is for.
"""

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import torch
from mmengine.utils import get_installed_path

sys.path.insert(0, str(Path(__file__).parent.parent))
from runs import make_digits, ROOT, short_run  # noqa: E402

# task -> scope, length in epochs or iterations, options that take away what
# draws random numbers that a resume does not restore, as far as it can be
TASKS = dict(
    # Not all of it: mmdet's samplers draw in the main process.
    det=('mmdet', 45, ['train_dataloader.persistent_workers=False']),
    seg=(
        'mmseg',
        90,
        [
            'model.decode_head.dropout_ratio=0.0',
            'model.auxiliary_head.dropout_ratio=0.0',
        ],
    ),
    cls=(
        'mmpretrain',
        40,
        [
            'train_dataloader.persistent_workers=False',
            'param_scheduler.total_steps=40',
        ],
    ),
)
# mmengine skips indices when it resumes iterations, not the numbers that the
# workers drew for crops and flips: a fixed size instead.
SEG_CONFIG = """_base_ = {base!r}
train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
    dict(type='Resize', scale=(64, 64)), dict(type='PackSegInputs')]))
"""


def whole(path):
    """Is the zip file complete, by its own checksums?"""
    try:
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False


def number(path):
    return int(re.search(r'(\d+)\.pth$', path.name)[1])


def last_whole(work_dir):
    """Number of the newest whole checkpoint; 0 if there is none."""
    files = work_dir.glob('[ei]*_*.pth')
    return max((number(p) for p in files if whole(p)), default=0)


class Training:
    """One process of a training, and those that it starts."""

    def __init__(self, script, config, work_dir, options, log):
        command = [sys.executable, script, config, '--work-dir', work_dir]
        self.log = log
        with open(log, 'w') as file:
            self.process = subprocess.Popen(
                [*map(str, command), '--resume', *options],
                cwd=ROOT,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def done(self):
        return self.process.poll() is not None

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def resumed(self):
        """Epoch and iteration that it went on from; None for neither."""
        found = re.search(
            r'resumed epoch: (\d+), iter: (\d+)', self.log.read_text()
        )
        return found and (int(found[1]), int(found[2]))

    def wait_and_kill(self, seconds):
        """Kill it after ``seconds``; False if it was through before."""
        end = time.time() + seconds
        while time.time() < end:
            if self.done():
                return False
            time.sleep(0.01)
        self.kill()
        return True

    def kill_while_writing(self, work_dir):
        """Kill it while a checkpoint is there in part; False if never."""
        seen = {p: p.stat().st_mtime for p in work_dir.glob('*.pth')}
        while not self.done():
            for path in [
                *work_dir.glob('.*.unfinished'),
                *work_dir.glob('[ei]*.pth'),
            ]:
                try:
                    begun = path.stat().st_mtime != seen.get(path)
                except FileNotFoundError:
                    continue
                if begun and (path.name[0] == '.' or not whole(path)):
                    self.kill()
                    return True
                if begun:
                    seen[path] = path.stat().st_mtime
            time.sleep(0.0005)
        return False


def differences(a, b):
    """Largest difference of two checkpoints' weights."""
    a, b = (
        torch.load(path, map_location='cpu', weights_only=False)['state_dict']
        for path in (a, b)
    )
    assert a.keys() == b.keys()
    return max((a[k].double() - b[k].double()).abs().max().item() for k in a)


def stress(task, kills, folder, upstream, seed):
    scope, length, extra = TASKS[task]
    digits = make_digits(folder / 'digits', 4) if task == 'cls' else None
    config, options = short_run(scope, digits, length)
    if task == 'seg':
        text = SEG_CONFIG.format(base=str(config))
        config = folder / 'seg.py'
        config.write_text(text)
        options = [o for o in options if 'crop_size' not in o]
    options += [*extra, f'train_cfg.val_interval={length}']
    options += ['default_hooks.checkpoint.max_keep_ckpts=2']
    script = ROOT / 'tools' / 'train.py'
    if upstream:
        script = Path(get_installed_path(scope)) / '.mim/tools/train.py'
    # The measure.
    calm = folder / 'calm'
    started = time.time()
    run = Training(script, config, calm, options, folder / 'calm.log')
    assert run.process.wait() == 0, run.log.read_text()[-3000:]
    whole_run = time.time() - started

    rng, work_dir = random.Random(seed), folder / 'killed'
    result = dict(task=task, kills=0, while_writing=0, starts=0)
    result.update(half_files=0, failed_starts=0, lost=0)
    started = time.time()
    while result['starts'] < 4 * kills + 20:
        before = last_whole(work_dir)
        log = folder / f'{result["starts"]}.log'
        run = Training(script, config, work_dir, options, log)
        result['starts'] += 1
        killed = writing = False
        if result['kills'] < kills:
            writing = result['starts'] % 3 == 0
            killed = (
                run.kill_while_writing(work_dir)
                if writing
                else run.wait_and_kill(rng.uniform(1, min(20, whole_run)))
            )
        else:
            run.process.wait()
        result['kills'] += killed
        result['while_writing'] += killed and writing
        result['half_files'] += any(
            not whole(p)
            for p in [*work_dir.glob('*.pth'), *work_dir.glob('.*.unfinished')]
        )
        found = run.resumed()
        if found:
            # Epochs are counted, or iterations, as the checkpoints' names.
            result['lost'] += found[scope == 'mmseg'] != before
        elif before and '(train)' in log.read_text():  # it began anew
            result['lost'] += 1
        if not killed:
            if run.process.returncode == 0:
                break
            result['failed_starts'] += 1
            print(log.read_text()[-1500:], file=sys.stderr)
            if upstream:  # what its user does: remove the half file, go on
                note = work_dir / 'last_checkpoint'
                note.unlink(missing_ok=True)
        print(json.dumps(result), flush=True)
    result['seconds'] = round(time.time() - started)
    names = [
        Path((d / 'last_checkpoint').read_text()).name
        for d in (calm, work_dir)
    ]
    assert names[0] == names[1], names
    result['difference'] = differences(calm / names[0], work_dir / names[0])
    result['left_unfinished'] = len(list(work_dir.glob('.*.unfinished')))
    return result


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.split('\n\n')[0],
    )
    parser.add_argument('--task', nargs='+', default=list(TASKS))
    parser.add_argument('--kills', type=int, default=20)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--upstream', action='store_true')
    args = parser.parse_args()
    for task in args.task:
        with tempfile.TemporaryDirectory() as folder:
            result = stress(
                task, args.kills, Path(folder), args.upstream, args.seed
            )
        print('RESULT', json.dumps(result), flush=True)


if __name__ == '__main__':
    main()
