"""One run of a plan: trained by tools/train.py, resumed, made a row."""

import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, ExitStack
from pathlib import Path
from typing import Optional

from ..apis.model import build_model
from ..apis.zoo import home
from ..engine.curves import CurveError, read_run
from ..engine.workdir import settle_last_checkpoint
from ..utils.files import put_whole
from ..utils.lock import hold
from .device import environment
from .folder import (
    check_origin,
    curves_of,
    find_start,
    folder_of,
    MetricError,
    MINUTES,
    PROCESSES,
    read_origin,
    start_id,
    TrainingError,
    write_origin,
)
from .log import RunLog
from .plan import Plan
from .rows import commit, DIVERGED, FINISHED, Row

PACKAGE = Path(__file__).parents[1]


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
        self._log, self._begin = self.folder / 'out.log', 0
        self._curve = RunLog(self.folder)
        self._process: Optional[subprocess.Popen] = None
        self._stopped = False
        self.config = plan.config(network, seed)
        self.known: Row = dict(
            plan=plan.name,
            network=network,
            seed=str(seed),
            start='',
            options=plan.network_id(network),
            threads=str(threads),
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
            if (self.folder / MINUTES).exists():
                return  # killed between its end and its row
            # Not before: the code may have changed while other runs went on.
            self.known['commit'] = commit(PACKAGE)
            write_origin(self.folder, self.known)
            code = self._train(lock)
        if self._stopped:
            with hold(self.folder):  # by its workers, for some seconds more
                pass
        if code and (self._stopped or not self._diverged()):
            with open(self._log, 'rb') as file:
                file.seek(self._begin)
                log = file.read().decode(errors='replace')
            raise TrainingError(
                f'{self.name} {ending(code)}: {last_message(log)} (see '
                f'{self._log}). Mend it and run the same command: it goes on '
                'there.'
            )
        status = DIVERGED if self._diverged() else FINISHED
        note = dict(minutes=self._minutes(), status=status)
        put_whole(json.dumps(note).encode(), self.folder / MINUTES)

    def _train(self, lock) -> int:
        """Its process's exit code."""
        put_whole(self.config.pretty_text.encode(), self.config_file)
        settle_last_checkpoint(str(self.folder))
        resume = (self.folder / 'last_checkpoint').exists()
        train = home() / 'tools' / 'train.py'
        command = [sys.executable, str(train), str(self.config_file)]
        command += ['--work-dir', str(self.folder)]
        command += ['--resume'] if resume else []
        with open(self._log, 'a') as out:
            self._begin = out.tell()
            self._process = subprocess.Popen(
                command,
                stdout=out,
                stderr=out,
                env=environment(self.device, self.threads),
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

    def _curves(self):
        try:
            return read_run(self.folder)
        except CurveError:
            return {}

    def _diverged(self):
        losses = self._curves().get('loss', {})
        # A step in half precision may be inf once and be left out.
        return bool(losses) and not math.isfinite(losses[max(losses)])

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
        schedule counts those.

        Raises:
            MetricError: It has validated, and logged no such metric.
        """
        self._check_metrics()
        step = self._curve.step
        if step is None:
            return 0.0
        cfg = self.config.train_cfg
        if 'max_iters' in cfg:
            return min(1.0, step['iter'] / cfg.max_iters)
        if 'epoch' not in step:  # LogProcessor(by_epoch=False)
            return 0.0
        return min(1.0, (step['epoch'] - 0.5) / cfg.max_epochs)

    def _check_metrics(self):
        """A detector that finds nothing logs no metric at all."""
        self._curve.look()
        logged = self._curve.metrics
        for metric in self.plan.metrics if logged else ():
            if metric.key not in logged:
                raise MetricError(
                    f'{self.name} has logged no {metric.key}; it has '
                    f'{", ".join(sorted(logged))}. Name one of these in the '
                    'plan and run it again: nothing that was trained is lost.'
                )

    def measured(self) -> Row:
        """Each metric's columns: its value at the last and best validation.

        Raises:
            MetricError: A metric was never logged, and others were.
        """
        self._check_metrics()
        found = {}
        for metric in self.plan.metrics:
            values = [
                validation[metric.key]
                for validation in self._curve.validations.values()
                if metric.key in validation
            ]
            # Not there, if a detector has come to find nothing.
            last = self._curve.validation.get(metric.key, math.nan)
            best = max(values, default=math.nan)
            found[f'{metric.key} last'] = f'{last:.6g}'
            found[f'{metric.key} best'] = f'{best:.6g}'
        return found

    def row(self) -> Row:
        """The finished run as a row.

        Raises:
            MetricError: A metric was never logged, and others were.
        """
        note = json.loads((self.folder / MINUTES).read_text())
        metrics = self.measured()
        origin = read_origin(self.folder)
        model = build_model(self.config)
        return dict(
            self.known,
            status=note.get('status', FINISHED),
            **metrics,
            parameters=str(sum(p.numel() for p in model.parameters())),
            minutes=f'{note["minutes"]:.1f}',
            **{n: ', '.join(origin.get(n, ())) for n in PROCESSES},
        )


def ending(code: int) -> str:
    """How a process ended, by its exit code."""
    if code >= 0:
        return f'ended with {code}'
    memory = ', as a system out of memory does' * (-code == signal.SIGKILL)
    return f'was ended by signal {-code}{memory}'


def last_message(log: str) -> str:
    """The last line that is not indented: the others are its details."""
    lines = [line for line in log.splitlines() if line[:1].strip()]
    return lines[-1] if lines else 'nothing was printed'
