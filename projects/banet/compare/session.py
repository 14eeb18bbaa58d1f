"""All runs of a plan, some at a time, and what they say together."""

import shlex
import sys
from collections.abc import Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ThreadPoolExecutor,
    wait,
)
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ..utils.figure import save
from ..utils.files import put_whole
from ..utils.outfolder import OutFolder
from .data import data_id
from .device import device_name
from .folder import MetricError, TrainingError
from .picture import draw
from .plan import Plan
from .rows import (
    add_row,
    check_alike,
    read_rows,
    Row,
    run_of,
    versions,
)
from .table import as_markdown
from .training import Training

LOOK = 5  # seconds between two looks at the runs' logs


class Session:
    """What one call of tools/compare.py does.

    Args:
        plan (Plan): What is compared.
        results (Path): Folder of the csv, the table and the picture.
        work_dir (Path): Folder of the trainings.
        jobs (int): Runs at a time.
        threads (int): Threads of each.
        device (str): See :class:`Training`.
    """

    def __init__(
        self,
        plan: Plan,
        results: Path,
        work_dir: Path,
        jobs: int,
        threads: int,
        device: str,
    ):
        self.plan, self.results, self.work_dir = plan, results, work_dir
        self.jobs, self.threads, self.device = jobs, threads, device
        self.csv = results / f'{plan.name}.csv'
        self._shared: Row = dict(
            recipe=plan.recipe_id(),
            data=data_id(plan.roots()),
            versions=versions(),
            device=device_name(device),
        )

    def left(
        self, networks: Sequence[str], seeds: Sequence[int]
    ) -> list[Training]:
        """The runs that have no row yet, seed by seed.

        Raises:
            RowsError: Their rows could not be averaged with those there are.
            PlanError: The data is not there.
            TrainingError: One starts from a run that is not finished, or its
                folder holds a run of something else.
        """
        rows = read_rows(self.csv, self.plan)
        done = set(map(run_of, rows))
        runs = [
            (network, seed)
            for seed in seeds
            for network in networks
            if (network, str(seed)) not in done
        ]
        if runs:
            self.plan.check_data()
        trainings = [
            Training(
                self.plan,
                network,
                seed,
                self.work_dir,
                self.threads,
                self.device,
                self._shared,
            )
            for network, seed in runs
        ]
        new = [training.known for training in trainings]
        check_alike([*rows, *new], self.csv)
        return trainings

    def run(self, trainings: Sequence[Training]) -> None:
        """Train them; each is a row as soon as it is finished.

        Raises:
            TrainingError: One failed; the others were trained all the same.
            MetricError: The plan names a metric that there is not; the
                others were stopped.
        """
        bar = Progress(
            TextColumn('{task.description}'),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            speed_estimate_period=3600,
            console=Console(file=sys.stderr),
        )
        with bar, ThreadPoolExecutor(self.jobs) as pool:
            task = bar.add_task(self.plan.name, total=len(trainings))
            if trainings:
                folder = self.work_dir / self.plan.name
                text = (
                    f'{len(trainings)} runs to do, logs in {folder}/*/out.log'
                )
                bar.console.print(text, highlight=False, soft_wrap=True)
            futures = {
                pool.submit(self._one, training): training
                for training in trainings
            }
            try:
                self._watch(futures, bar, task)
            except BaseException:  # Ctrl-C, a signal, a console that is gone
                pool.shutdown(wait=False, cancel_futures=True)
                for training in trainings:
                    training.stop()
                raise
        failed = [f.exception() for f in futures if f.exception()]
        if failed:
            raise TrainingError('; '.join(map(str, failed)))

    def _one(self, training):
        training.run()
        row = training.row()
        add_row(self.csv, self.plan, row)
        return row

    def _watch(self, futures, bar, task):
        pending = set(futures)
        while pending:
            done, pending = wait(pending, LOOK, FIRST_COMPLETED)
            share = sum(
                1 if future.done() else training.progress()
                for future, training in futures.items()
            )
            bar.update(task, completed=share)
            for future in done:
                if isinstance(future.exception(), MetricError):
                    raise future.exception()
                left = bar.tasks[task].time_remaining
                bar.console.print(
                    f'{futures[future].name}: {self._told(future)}'
                    # A log file shows no bar.
                    + (f'; {timedelta(seconds=left)} left' if left else ''),
                    highlight=False,
                    soft_wrap=True,
                )

    def _told(self, future: 'Future[Row]'):
        if future.exception():
            return f'failed: {future.exception()}'
        row = future.result()
        values = ', '.join(
            f'{m.label} {m.factor * float(row[f"{m.key} last"]):.2f}'
            for m in self.plan.metrics
        )
        return f'{row["status"]}, {values}, {row["minutes"]} min'

    def show(self) -> list[Path]:
        """Write the table and the picture of all rows there are.

        Returns:
            list: The files; none, if there is no row.
        """
        rows = read_rows(self.csv, self.plan)
        if not rows:
            return []
        command = f'python tools/compare.py {shlex.quote(self.plan.path)}'
        command += ' --data DATA' if self.plan.data else ''
        text = as_markdown(rows, self.plan, command)
        table = self.results / f'{self.plan.name}.md'
        put_whole(text.encode(), table)
        picture = save(
            draw(rows, self.plan),
            OutFolder(self.results, force=True),
            self.plan.name,
        )
        print(text)
        return [self.csv, table, picture]
