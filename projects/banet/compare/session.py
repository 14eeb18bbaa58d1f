"""All runs of a plan, some at a time, and what they say together."""

import shlex
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
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
from .plan import Plan
from .rows import (
    check_alike,
    commit,
    data_id,
    read_rows,
    Row,
    versions,
    write_rows,
)
from .table import as_markdown, draw
from .training import Training, TrainingError

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
        self.rows = read_rows(self.csv, plan)
        self._shared: Row = dict(
            recipe=plan.recipe_id(),
            data=data_id(plan.roots()),
            versions=versions(),
            device=device.partition(':')[0],
            commit=commit(Path(__file__).parent),
        )
        self._writing = threading.Lock()

    def left(
        self, networks: Sequence[str], seeds: Sequence[int]
    ) -> list[tuple[str, int]]:
        """The runs that have no row yet, seed by seed.

        Raises:
            RowsError: Their rows could not be averaged with those there are.
        """
        done = {(row['network'], row['seed']) for row in self.rows}
        runs = [
            (network, seed)
            for seed in seeds
            for network in networks
            if (network, str(seed)) not in done
        ]
        if runs:
            network, seed = runs[0]
            new = dict(network=network, seed=str(seed), **self._shared)
            check_alike([*self.rows, new], self.csv)
        return runs

    def run(self, runs: Sequence[tuple[str, int]]) -> None:
        """Train them; each is a row as soon as it is finished.

        Raises:
            TrainingError: One failed; the others were trained all the same.
        """
        trainings = [
            Training(
                self.plan,
                network,
                seed,
                self.work_dir,
                self.threads,
                self.device,
            )
            for network, seed in runs
        ]
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
            task = bar.add_task(self.plan.name, total=len(runs))
            futures = {
                pool.submit(self._one, training): training
                for training in trainings
            }
            pending = set(futures)
            while pending:
                done, pending = wait(pending, LOOK)
                share = sum(
                    1 if future.done() else training.progress()
                    for future, training in futures.items()
                )
                bar.update(task, completed=share)
                for future in done:
                    self._tell(future, futures[future], bar)
        failed = [f.exception() for f in futures if f.exception()]
        if failed:
            raise TrainingError('; '.join(map(str, failed)))

    def _one(self, training):
        training.run()
        row = training.row(self._shared)
        with self._writing:
            # Another process may have written meanwhile.
            self.rows = [*read_rows(self.csv, self.plan), row]
            write_rows(self.csv, self.plan, self.rows)
        return row

    def _tell(self, future: 'Future[Row]', training, bar):
        if future.exception():
            bar.console.print(f'{training.name}: failed', highlight=False)
            return
        row = future.result()
        values = ', '.join(
            f'{m.label} {m.factor * float(row[f"{m.key} last"]):.2f}'
            for m in self.plan.metrics
        )
        bar.console.print(
            f'{training.name}: {row["status"]}, {values}, '
            f'{row["minutes"]} min',
            highlight=False,
        )

    def show(self) -> list[Path]:
        """Write the table and the picture of all rows there are.

        Returns:
            list: The files; none, if there is no row.
        """
        if not self.rows:
            return []
        check_alike(self.rows, self.csv)
        command = 'python tools/compare.py ' + shlex.join(
            [f'configs/experiments/{self.plan.name}.py']
        )
        command += ' --data DATA' if self.plan.data else ''
        text = as_markdown(self.rows, self.plan, command)
        table = self.results / f'{self.plan.name}.md'
        put_whole(text.encode(), table)
        picture = save(
            draw(self.rows, self.plan),
            OutFolder(self.results, force=True),
            self.plan.name,
        )
        print(text)
        return [self.csv, table, picture]
