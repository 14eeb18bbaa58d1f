"""One run of a plan: trained by tools/train.py, resumed, made a row."""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, ExitStack, suppress
from pathlib import Path
from typing import Optional

import torch

from ..apis.model import build_model
from ..apis.zoo import home
from ..engine.curves import CurveError, read_run
from ..engine.workdir import settle_last_checkpoint
from ..utils.files import put_whole
from ..utils.lock import hold
from .folder import (
    check_origin,
    curves_of,
    find_start,
    folder_of,
    MINUTES,
    start_id,
    TrainingError,
    write_origin,
)
from .plan import Plan
from .rows import DIVERGED, FINISHED, Row


class Training:
    """One run, as a process.

    Args:
        plan (Plan): What is compared.
        network (str): Name of the network.
        seed (int): Seed of the run.
        work_dir (Path): Folder of all plans' work dirs.
        threads (int): Threads of the process.
        device (str): ``cpu``, ``cuda`` or ``cuda:N``, of those that are
            visible.
        shared (dict): What the rows of all runs have in common.

    Attributes:
        known (dict): What is known of its row before it runs.

    Raises:
        TrainingError: The run that it starts from is not finished, or its
            folder holds a run of something else.
    """

    def __init__(
        self,
        plan: Plan,
        network: str,
        seed: int,
        work_dir: Path,
        threads: int,
        device: str,
        shared: Row,
    ):
        self.plan, self.network, self.seed = plan, network, seed
        self.threads, self.device = threads, device
        self.folder = folder_of(work_dir, plan.name, network, seed)
        # Beside it: the runner leaves a copy of its own in there.
        self.config_file = self.folder.with_name(f'{self.folder.name}.py')
        self._process: Optional[subprocess.Popen] = None
        self._stopped = False
        self.config = plan.config(network, seed)
        self.known: Row = dict(
            plan=plan.name,
            network=network,
            seed=str(seed),
            start='',
            options=plan.network_id(network),
            **shared,
        )
        if plan.start is not None:
            source = find_start(plan.start, work_dir, network, seed)
            self.known['start'] = start_id(source, plan.start)
            checkpoint = (source / 'last_checkpoint').read_text().strip()
            self.config.model.backbone.init_cfg = dict(
                type='Pretrained', checkpoint=checkpoint, prefix='backbone.'
            )
        check_origin(self.folder, self.known)

    @property
    def name(self) -> str:
        """For the reader."""
        return f'{self.network}, seed {self.seed}'

    def run(self) -> None:
        """Train, from where an earlier process was cut off.

        Raises:
            TrainingError: It failed, another process trains there, or its
                folder holds a run of something else.
        """
        with self._alone() as lock:
            check_origin(self.folder, self.known)
            write_origin(self.folder, self.known)
            if (self.folder / MINUTES).exists():
                return  # killed between its end and its row
            code = self._train(lock)
        if self._stopped:
            with hold(self.folder):  # by its workers, for some seconds more
                pass
        if code and (self._stopped or not self._diverged()):
            log = self.folder / 'out.log'
            last = last_message(log.read_text(errors='replace'))
            raise TrainingError(
                f'{self.name} ended with {code}: {last} (see {log}). '
                'Mend it and run the same command: it goes on there.'
            )
        put_whole(
            json.dumps(dict(minutes=self._minutes())).encode(),
            self.folder / MINUTES,
        )

    def _train(self, lock) -> int:
        """Its process's exit code."""
        put_whole(self.config.pretty_text.encode(), self.config_file)
        settle_last_checkpoint(str(self.folder))
        resume = (self.folder / 'last_checkpoint').exists()
        train = home() / 'tools' / 'train.py'
        command = [sys.executable, str(train), str(self.config_file)]
        command += ['--work-dir', str(self.folder)]
        command += ['--resume'] if resume else []
        with open(self.folder / 'out.log', 'a') as out:
            self._process = subprocess.Popen(
                command,
                stdout=out,
                stderr=out,
                env=self.environment(),
                pass_fds=[lock],  # held as long as the training lives
            )
            if self._stopped:
                self.stop()  # which found no process yet
            return self._process.wait()

    def stop(self) -> None:
        """End it, if it runs; may be called from another thread.

        What Ctrl-C sends is not enough: while a process forks its workers,
        Python may drop a KeyboardInterrupt.
        """
        self._stopped = True
        if self._process is not None:
            self._process.terminate()

    @contextmanager
    def _alone(self) -> Iterator[int]:
        with ExitStack() as stack:
            try:
                lock = stack.enter_context(hold(self.folder, wait=False))
            except BlockingIOError as error:
                raise TrainingError(
                    f'another process trains {self.name} in {self.folder}: '
                    'wait for it, or stop it.'
                ) from error
            yield lock

    def environment(self) -> dict[str, str]:
        """Of its process."""
        environment = {**os.environ, 'OMP_NUM_THREADS': str(self.threads)}
        kind, _, number = self.device.partition(':')
        if kind == 'cpu':
            environment['CUDA_VISIBLE_DEVICES'] = ''
        elif number:
            visible = os.environ.get('CUDA_VISIBLE_DEVICES')
            environment['CUDA_VISIBLE_DEVICES'] = (
                visible.split(',')[int(number)] if visible else number
            )
        return environment

    def _curves(self):
        try:
            return read_run(self.folder)
        except CurveError:
            return {}

    def _diverged(self):
        return any(
            not math.isfinite(v)
            for v in self._curves().get('loss', {}).values()
        )

    def _minutes(self):
        """Of all processes that took part, by their logs."""
        files = curves_of(self.folder)
        spans = [
            file.stat().st_mtime
            - time.mktime(time.strptime(file.parts[-3], '%Y%m%d_%H%M%S'))
            for file in files
        ]
        return sum(spans) / 60

    def progress(self) -> float:
        """Share of the schedule that is done, from 0 to 1; in epochs, if the
        schedule counts those."""
        files = curves_of(self.folder)
        for file in reversed(files):
            for line in reversed(file.read_text().splitlines()):
                with suppress(ValueError):  # it is being written
                    entry = json.loads(line)
                    if 'loss' in entry:
                        return self._share(entry)
        return 0.0

    def _share(self, entry):
        cfg = self.config.train_cfg
        if 'max_iters' in cfg:
            return min(1.0, entry['iter'] / cfg.max_iters)
        return min(1.0, (entry['epoch'] - 0.5) / cfg.max_epochs)

    def row(self) -> Row:
        """The finished run as a row.

        Raises:
            TrainingError: A metric was never logged.
        """
        curves = self._curves()
        metrics = {}
        diverged = self._diverged()
        for metric in self.plan.metrics:
            values = curves.get(metric.key, {})
            if not values and not diverged:
                raise TrainingError(
                    f'{self.name} has logged no {metric.key}; it has '
                    f'{", ".join(sorted(curves))}. Name one of these in the '
                    'plan.'
                )
            last = values[max(values)] if values else math.nan
            best = max(values.values(), default=math.nan)
            metrics[f'{metric.key} last'] = f'{last:.6g}'
            metrics[f'{metric.key} best'] = f'{best:.6g}'
        minutes = json.loads((self.folder / MINUTES).read_text())['minutes']
        model = build_model(self.config)
        return dict(
            self.known,
            status=DIVERGED if diverged else FINISHED,
            **metrics,
            parameters=str(sum(p.numel() for p in model.parameters())),
            minutes=f'{minutes:.1f}',
            threads=str(self.threads),
        )


def last_message(log: str) -> str:
    """The last line that is not indented: the others are its details."""
    lines = [line for line in log.splitlines() if line[:1].strip()]
    return lines[-1] if lines else 'nothing was printed'


def default_threads(jobs: int) -> int:
    """Threads of each of so many runs at a time."""
    return max(1, (os.cpu_count() or 1) // jobs)


def check_device(device: Optional[str]) -> str:
    """``device``, or what there is.

    Raises:
        TrainingError: There is no such device.
    """
    there = torch.cuda.device_count()
    if device is None:
        return 'cuda' if there else 'cpu'
    kind, _, number = device.partition(':')
    if kind not in ('cpu', 'cuda') or (number and not number.isdigit()):
        raise TrainingError(f'--device {device}: use cpu, cuda or cuda:0.')
    if kind == 'cuda' and int(number or 0) >= there:
        raise TrainingError(f'--device {device}: {there} GPUs are visible.')
    return device
