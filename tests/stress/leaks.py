"""Train each demo for 300 iterations; does anything grow or stay behind?

    python tests/stress/leaks.py [--task det seg cls] [--iterations 300]

Samples, every few iterations, the resident memory of the training process
and of its workers, and its open files; looks, when it is through, for files
that it left in its folder for temporary ones.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent))
from runs import DEMO, ROOT, tool  # noqa: E402

# task -> config, iterations per epoch; 0: it has no epochs
TASKS = dict(
    det=('mask-rcnn_ba-r18_fpn_nuclei.py', 48),
    seg=('upernet_ba-r18_nuclei.py', 0),
    cls=('ba-resnet18_digits.py', 23),
)


def memory(pid):
    """Resident memory in MB; None if the process is gone."""
    try:
        text = Path(f'/proc/{pid}/status').read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    found = re.search(r'VmRSS:\s+(\d+)', text)
    return found and int(found[1]) / 1024


def children(pid):
    try:
        text = Path(f'/proc/{pid}/task/{pid}/children').read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(child) for child in text.split()]


def sample(pid):
    own = memory(pid)
    workers = [memory(c) or 0 for c in children(pid)]
    try:
        files = len(os.listdir(f'/proc/{pid}/fd'))
    except (FileNotFoundError, ProcessLookupError):
        return None
    return own and (own, max(workers, default=0), files)


def watch(task, iterations, folder):
    config, per_epoch = TASKS[task]
    # Nothing but training: no validation, one checkpoint at the end.
    if per_epoch:
        length = -(-iterations // per_epoch)
        options = [f'train_cfg.max_epochs={length}', 'param_scheduler=[]']
    else:
        length = iterations
        options = [f'train_cfg.max_iters={length}']
    options += [f'train_cfg.val_interval={10 * length}']
    options += ['default_hooks.logger.interval=5']
    options += [f'default_hooks.checkpoint.interval={length}']
    if task == 'cls':
        digits = folder / 'digits'
        assert tool('prepare_digits.py', digits).returncode == 0
        options += [f'train_dataloader.dataset.data_root={digits}']
        options += [f'val_dataloader.dataset.data_root={digits}']
        options += ['train_dataloader.persistent_workers=True']
    temporary = folder / 'tmp'
    temporary.mkdir()
    log = folder / 'log'
    with open(log, 'w') as file:
        process = subprocess.Popen(
            [
                *(sys.executable, ROOT / 'tools/train.py', DEMO / config),
                *('--work-dir', folder / 'work', '--cfg-options', *options),
            ],
            cwd=ROOT,
            env={**os.environ, 'TMPDIR': str(temporary)},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    samples = []
    while process.poll() is None:
        if '(train)' in log.read_text():  # it is past its start
            found = sample(process.pid)
            if found:
                samples.append(found)
        time.sleep(0.5)
    assert process.returncode == 0, log.read_text()[-3000:]
    # The last samples are those of the checkpoint being written.
    samples = samples[: int(len(samples) * 0.95)]
    tenth = max(1, len(samples) // 10)
    parts = samples[tenth : 2 * tenth], samples[-tenth:]
    early, late = (
        [round(median(values)) for values in zip(*part, strict=True)]
        for part in parts
    )
    names = 'process_mb', 'largest_worker_mb', 'open_files'
    return dict(
        task=task,
        samples=len(samples),
        early=dict(zip(names, early, strict=True)),
        late=dict(zip(names, late, strict=True)),
        left_in_tmp=sorted(p.name for p in temporary.iterdir()),
        left_unfinished=len(list((folder / 'work').glob('.*.unfinished'))),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--task', nargs='+', default=list(TASKS))
    parser.add_argument('--iterations', type=int, default=300)
    args = parser.parse_args()
    for task in args.task:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(watch(task, args.iterations, Path(folder))))


if __name__ == '__main__':
    main()
