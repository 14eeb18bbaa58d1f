"""The folder of one run: what trains in it, whether it has ended."""

import hashlib
import json
from pathlib import Path

from ..engine.workdir import can_resume
from ..utils.errors import BanetError
from ..utils.files import put_whole
from .plan import Start
from .rows import differs, DIVERGED, kind_of, Row, SAME

MINUTES = 'minutes.json'  # written at the end
ORIGIN = 'origin.json'  # written before the first iteration
# What a folder's checkpoints were made from, and how that is called.
KEPT = dict(SAME, options='networks')
PROCESSES = 'commit', 'threads'  # of all processes that trained there


NO_ORIGIN = (
    '{} does not say what it was made from, as runs of older versions: '
    'remove it, or name another folder with --work-dir.'
)


class TrainingError(BanetError):
    """Why a run cannot be done, with the remedy."""


class MetricError(TrainingError):
    """The plan names a metric that the recipe does not log."""


def folder_of(work_dir: Path, plan: str, network: str, seed: int) -> Path:
    """The work dir of one run."""
    return work_dir / plan / f'{network}-{seed}'


def find_start(start: Start, work_dir: Path, network: str, seed: int) -> Path:
    """The folder of the run that another one starts from.

    Raises:
        TrainingError: It is not finished, has diverged, or does not say what
            it was made from.
    """
    source = folder_of(
        work_dir,
        start.plan,
        start.network or network,
        seed if start.seed is None else start.seed,
    )
    needed = MINUTES, 'last_checkpoint'
    done = all((source / name).exists() for name in needed)
    if done and not (source / ORIGIN).exists():
        raise TrainingError(NO_ORIGIN.format(source))
    if done and _status(source) == DIVERGED:
        raise TrainingError(
            f'{network} of seed {seed} starts from {source}, which has '
            'diverged: leave it out with --networks and --seeds.'
        )
    if not done:
        raise TrainingError(
            f'{network} of seed {seed} starts from {source}, which is not '
            f'finished: run tools/compare.py with the plan {start.plan} and '
            f'--work-dir {work_dir} first (into another folder of --results, '
            'where its rows are there already).'
        )
    return source


def _status(folder):
    return json.loads((folder / MINUTES).read_text()).get('status')


def start_id(source: Path, start: Start) -> str:
    """Changes with what a start was made from: its network, too, unless each
    network starts from its own."""
    there = read_origin(source)
    origin = {name: there[name] for name in KEPT if name in there}
    origin['device'] = kind_of(origin['device'])
    if start.network is None:
        origin.pop('options')
    text = json.dumps(origin, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def check_origin(folder: Path, row: Row) -> None:
    """Is what lies in a folder made from what a run is to be made from?

    Args:
        folder (Path): The run's.
        row (dict): What is known of its row.

    Raises:
        TrainingError: It is not, so that it must neither go on under this
            recipe nor become a row of it.
    """
    differ = _differences(folder, row)
    if differ and ((folder / MINUTES).exists() or can_resume(str(folder))):
        if not (folder / ORIGIN).exists():
            raise TrainingError(NO_ORIGIN.format(folder))
        raise TrainingError(
            f'{folder} holds a run of other {" and ".join(differ)}: remove '
            'it, or name another folder with --work-dir.'
        )


def _differences(folder, row):
    """Of what is noted there, if anything is, to what a run is made from."""
    there = read_origin(folder)
    return [
        called
        for name, called in KEPT.items()
        if name not in there or differs(name, there, row)
    ]


def write_origin(folder: Path, row: Row) -> None:
    """Note what a run is made from, and by which processes.

    Curves of something else go: it failed before its first checkpoint, and
    the run's own would be read with them.
    """
    before = read_origin(folder)
    if _differences(folder, row):
        before = {}
        for file in curves_of(folder):
            file.unlink()
    origin: dict = {name: row[name] for name in KEPT}
    for name in PROCESSES:
        found = dict.fromkeys([*before.get(name, ()), row[name]])
        origin[name] = list(found)
    put_whole(json.dumps(origin, indent=1).encode(), folder / ORIGIN)


def curves_of(folder: Path) -> list[Path]:
    """The files of what was logged there, by the process that wrote them."""
    return sorted(folder.glob('*/vis_data/scalars.json'))


def read_origin(folder: Path) -> dict:
    """What is noted of a run's origin; empty, if nothing is."""
    file = folder / ORIGIN
    return json.loads(file.read_text()) if file.exists() else {}
