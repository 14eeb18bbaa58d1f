"""The walk: build a config's data sets, look at every item of each."""

import signal
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Optional

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.utils import ProgressBar

from .evaluators import check_evaluator, measures_masks
from .items import check_counts, check_item, check_there, describe, reader
from .labels import Labels
from .report import NOTE, Problem, Report
from .sets import (
    build,
    check_annotations,
    check_build,
    check_class_list,
    check_folder_order,
    check_heads,
    check_splits,
    CheckError,
    classes_in,
    counts_in,
    folders_of,
    is_coco,
    kind_of,
    learns_masks,
    split_leaves,
    SPLITS,
)
from .sheet import draw_sheet, LIBRARY_VISUALIZERS
from .unread import check_unread_files


def check_data(
    cfg: Config,
    workers: int = 0,
    out: Optional[Path] = None,
    fast: bool = False,
) -> Report:
    """Look at every image and annotation that a config trains or tests on.

    Args:
        cfg (Config): Config of mmpretrain, mmdet or mmseg.
        workers (int): Processes that read the files; 0: this one.
        out (Path | None): Folder for a contact sheet per data set.
        fast (bool): Read annotations, and see that the files are there,
            without decoding images and labels. Defaults to False.

    Raises:
        CheckError: The config has no data, or a worker was killed.
    """
    init_default_scope(_scope_of(cfg))
    report = Report()
    classes: dict[str, Optional[Sequence[str]]] = {}
    folders: dict[str, Optional[Sequence[str]]] = {}
    first: dict[str, str] = {}
    for split, leaf in split_leaves(cfg):
        part = open_part(cfg, split, leaf, fast, report)
        if part is None:
            continue
        classes.setdefault(split, part.names)
        folders.setdefault(split, folders_of(part.dataset))
        counts = counts_in(part.names, part.dataset)
        report.add(split, check_heads(cfg.get('model') or {}, counts))
        if not part.infos:
            continue
        if not part.is_local:
            text = 'its images are no local files: they are not looked at'
            kind = 'data set elsewhere'
            report.add(split, [Problem(NOTE, kind, part.kind, text)])
            report.contents.append((split, f'{len(part.infos)} images'))
            continue
        look_at(part, workers, fast, report)
        if out and part.dataset is not None:
            sheet = out / f'{split}-{len(report.sheets)}.png'
            # The Runner has one of its own, too, where a config has none.
            drawer = cfg.get('visualizer') or dict(
                type=LIBRARY_VISUALIZERS[cfg.default_scope]
            )
            problems = draw_sheet(part.dataset, drawer, split, sheet)
            report.add(split, problems)
            report.sheets.append(sheet)
        report.add(split, check_twice(part, first))
    for split in SPLITS:
        report.add(split, check_evaluator(cfg, split))
    # Folders may have other names than their classes, but the same ones.
    report.add('all', check_splits(classes) or check_splits(folders))
    return report


def _scope_of(cfg):
    scope = cfg.get('default_scope')
    if scope not in LIBRARY_VISUALIZERS:
        raise CheckError(
            f'default_scope={scope!r} names no library: set it to '
            f'{", ".join(LIBRARY_VISUALIZERS)}.'
        )
    return scope


@dataclass
class Part:
    """A data set of a config, opened.

    Attributes:
        split (str): Of which it is.
        leaf (dict): Its config.
        dataset (Dataset | None): None: it was not built.
        infos (list[dict]): What it knows of each image.
        names (Sequence[str] | None): Its classes.
        listed (Sequence[str]): Images that its annotations name.
    """

    split: str
    leaf: dict
    dataset: Any
    infos: list[dict]
    names: Optional[Sequence[str]]
    listed: Sequence[str] = ()

    @property
    def evaluates(self) -> bool:
        """Whether results are measured on it; else it is trained on."""
        return self.split != 'train'

    @property
    def is_local(self) -> bool:
        """Whether its images are files of this machine."""
        path = self.infos[0].get('img_path', '://')
        return '://' not in path

    @property
    def kind(self) -> str:
        """Name of its class."""
        return kind_of(self.leaf)[0]


def open_part(
    cfg: Config, split: str, leaf: dict, fast: bool, report: Report
) -> Optional[Part]:
    """Look at the annotations of a data set, and open it; None: impossible."""
    evaluates = split != 'train'
    masks = (
        measures_masks(cfg.get(f'{split}_evaluator'))
        if evaluates
        else learns_masks(leaf)
    )
    found = check_class_list(classes_in(leaf), kind_of(leaf)[0])
    if found:
        report.add(split, found)
        return None
    # A data set would read a COCO file again, polygons and all.
    listing = fast and leaf.get('ann_file') and is_coco(leaf)
    dataset: Any = None if listing else build(leaf)
    found, listed = check_annotations(leaf, dataset, masks, evaluates)
    report.add(split, found)
    if listing:
        infos = [dict(img_path=path) for path in listed]
        return Part(split, leaf, None, infos, classes_in(leaf))
    problem = check_build(leaf, dataset)
    if problem:
        report.add(split, [problem])
        return None
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    names = classes_in(leaf, dataset)
    report.add(split, check_folder_order(names, dataset))
    return Part(split, leaf, dataset, infos, names, listed)


def look_at(part: Part, workers: int, fast: bool, report: Report) -> None:
    """Look at every image and label of a data set, and at their folders."""
    split, names, infos = part.split, part.names, part.infos
    count = len(names) if names else None
    check = (
        check_there
        if fast
        else partial(check_item, reader(part.dataset), count)
    )
    seen = Labels()
    for problems, pixels in each(check, infos, 0 if fast else workers, split):
        report.add(split, problems)
        seen.add(pixels)
    report.add(split, seen.problems(names, part.kind, part.evaluates))
    report.add(split, check_counts(infos, names, part.kind, part.evaluates))
    found = check_unread_files(
        part.leaf, infos, names, part.listed, part.dataset
    )
    report.add(split, found)
    report.contents.append((split, describe(infos, seen.pixels, names)))


def check_twice(part: Part, first: dict[str, str]) -> list[Problem]:
    """Images that are in the training, too.

    Args:
        part (Part): The data set.
        first (dict): Path to the first split that has it; is filled.
    """
    text = 'also in train: the result would flatter'
    return [
        Problem(NOTE, 'image in two splits', info['img_path'], text)
        for info in part.infos
        if first.setdefault(info['img_path'], part.split) == 'train'
        and part.evaluates
    ]


def each(check, infos: list, workers: int, split: str):
    """Map ``check`` over ``infos``, behind a progress bar on a terminal."""
    bar = None
    if infos and sys.stderr.isatty():
        print(f'{split}: {len(infos)} images', file=sys.stderr)
        bar = ProgressBar(len(infos), file=sys.stderr)
    # Spawned: forking a process that has threads may hang.
    # Ctrl-C is for this process, which ends them.
    ignore = signal.signal, (signal.SIGINT, signal.SIG_IGN)
    spawn = get_context('spawn')
    pool = ProcessPoolExecutor(workers, spawn, *ignore) if workers else None
    try:
        results: Iterable = map(check, infos)
        if pool:  # which keeps something of every chunk from the start
            chunk = max(1, len(infos) // (64 * workers))
            results = pool.map(check, infos, chunksize=chunk)
        for result in results:
            if bar:
                bar.update()
            yield result
    except BrokenProcessPool as error:
        raise CheckError(
            f'{split}: a process that looks at the images was killed, for '
            'want of memory or by a damaged file. Use fewer --workers; '
            '--workers 0 looks in one process.'
        ) from error
    finally:
        if pool:
            pool.shutdown(wait=False, cancel_futures=True)
        if bar:
            print(file=sys.stderr)
