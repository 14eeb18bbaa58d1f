"""The walk: build a config's data sets, look at every item of each."""

import os
import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Optional

from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from mmengine.utils import ProgressBar

from ..utils.registered import class_of
from .coco import read_coco
from .images import check_image
from .labels import check_label, Labels
from .report import ERROR, LOST, NOTE, Problem, Report
from .sets import (
    ann_file_of,
    build,
    check_annotations,
    check_build,
    check_content,
    check_heads,
    check_splits,
    images_of,
    is_coco,
    kind_of,
    learns_masks,
    measures_masks,
    split_leaves,
)
from .sheet import draw_sheet
from .unread import check_unread_files

SHOWN = 10  # classes in a summary


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
        CheckError: The config has no data.
    """
    init_default_scope(cfg.default_scope)
    report = Report()
    classes: dict[str, Optional[Sequence[str]]] = {}
    paths: dict[str, str] = {}
    for split, leaf in split_leaves(cfg):
        evaluates = split != 'train'
        masks = (
            measures_masks(cfg.get(f'{split}_evaluator'))
            if evaluates
            else learns_masks(leaf)
        )
        if fast and leaf.get('ann_file') and is_coco(leaf):
            infos, names = check_listed(report, split, leaf, masks, evaluates)
            report.add(split, check_heads(cfg.model, names))
            dataset, listed = None, []
        else:
            dataset = build(leaf)
            found, listed = check_annotations(leaf, dataset, masks, evaluates)
            report.add(split, found)
            problem = check_build(leaf, dataset)
            if problem:
                report.add(split, [problem])
                continue
            names = dataset.metainfo.get('classes')
            report.add(split, check_heads(cfg.model, names))
            infos = [dataset.get_data_info(i) for i in range(len(dataset))]
        classes.setdefault(split, names)
        if not infos:
            continue
        if 'img_path' not in infos[0] or '://' in infos[0]['img_path']:
            text = 'its images are no local files: they are not looked at'
            kind = 'data set elsewhere'
            report.add(split, [Problem(NOTE, kind, kind_of(leaf)[0], text)])
            report.contents.append((split, f'{len(infos)} images'))
            continue
        check = (
            check_there
            if fast
            else partial(
                check_item, reader(dataset), len(names) if names else None
            )
        )
        seen: Labels = Labels()
        for problems, pixels in each(
            check, infos, 0 if fast else workers, split
        ):
            report.add(split, problems)
            seen.add(pixels)
        kind = kind_of(leaf)[0]
        report.add(split, seen.problems(names, kind, evaluates))
        report.add(split, check_counts(infos, names, kind, evaluates))
        report.add(split, check_unread_files(leaf, infos, names, listed))
        text = describe(infos, seen.pixels, names)
        report.contents.append((split, text))
        if out and dataset is not None:
            sheet = out / f'{split}-{len(report.sheets)}.png'
            report.add(
                split, draw_sheet(dataset, cfg.visualizer, split, sheet)
            )
            report.sheets.append(sheet)
        for info in infos:
            first = paths.setdefault(info['img_path'], split)
            if first == 'train' and split != 'train':
                text = 'also in train: the result would flatter'
                kind = 'image in two splits'
                report.add(
                    split, [Problem(NOTE, kind, info['img_path'], text)]
                )
    report.add('all', check_splits(classes))
    return report


def check_listed(
    report: Report, split: str, leaf: dict, masks: bool, evaluates: bool
) -> tuple[list[dict], Optional[Sequence[str]]]:
    """Look at a COCO file without building its data set, which reads it again.

    Returns:
        tuple: ``img_path`` of every image, and the classes.
    """
    path = ann_file_of(leaf)
    content, found = read_coco(path, bool(leaf.get('test_mode')))
    report.add(split, found)
    classes = (leaf.get('metainfo') or {}).get('classes')
    if classes is None:  # the data set's own
        classes = class_of(DATASETS, leaf['type']).METAINFO.get('classes')
    if content is None:
        return [], classes
    report.add(
        split, check_content(leaf, content, path, classes, masks, evaluates)
    )
    return [dict(img_path=path) for path in images_of(leaf, content)], classes


def reader(dataset):
    """The transform with which the data set's own pipeline reads images."""
    transforms = getattr(dataset.pipeline, 'transforms', [])
    return next(
        (t for t in transforms if type(t).__name__ == 'LoadImageFromFile'),
        None,
    )


def check_item(
    load, num_classes: Optional[int], info: dict
) -> tuple[list[Problem], Counter[int]]:
    """Problems of one image and its label, and the label's pixels."""
    size = None
    if 'height' in info:
        size = info['height'], info['width']
    found, read = check_image(info['img_path'], load, size)
    pixels: Counter[int] = Counter()
    if info.get('seg_map_path'):
        problems, pixels = check_label(
            info['seg_map_path'], read, num_classes, info
        )
        found += problems
    label = info.get('gt_label')
    if num_classes and isinstance(label, int) and not 0 <= label < num_classes:
        text = f'{label}; classes are 0 to {num_classes - 1}'
        kind = 'label of no class'
        found.append(Problem(ERROR, kind, info['img_path'], text))
    return found, pixels


def check_there(info: dict) -> tuple[list[Problem], Counter[int]]:
    """Problems of an image and its label that need no decoding."""
    found = []
    for key, kind in (('img_path', 'image'), ('seg_map_path', 'label')):
        path = info.get(key)
        if path and not os.path.isfile(path):
            found.append(Problem(ERROR, f'missing {kind}', path))
    return found, Counter()


def check_counts(
    infos: list, names: Optional[Sequence[str]], where: str, evaluates: bool
) -> list[Problem]:
    """Classes of which there is no image, where images have one class each."""
    labels = Counter(info.get('gt_label') for info in infos)
    if not all(isinstance(label, int) for label in labels):
        return []
    return [
        Problem(
            NOTE if evaluates else LOST,
            'class without images',
            where,
            f'{name!r} has no image',
        )
        for i, name in enumerate(names or ())
        if not labels[i]
    ]


def each(check, infos: list, workers: int, split: str):
    """Map ``check`` over ``infos``, behind a progress bar on a terminal."""
    bar = None
    if infos and sys.stderr.isatty():
        print(f'{split}: {len(infos)} images', file=sys.stderr)
        bar = ProgressBar(len(infos), file=sys.stderr)
    # Spawned: forking a process that has threads may hang.
    pool = get_context('spawn').Pool(workers) if workers else None
    try:
        walk = pool.imap if pool else map
        for result in walk(check, infos):
            if bar:
                bar.update()
            yield result
    finally:
        if pool:
            pool.terminate()
        if bar:
            print(file=sys.stderr)


def describe(
    infos: list, pixels: Counter[int], names: Optional[Sequence[str]]
) -> str:
    """What a data set holds: images, and objects, pixels or images a class."""
    text = f'{len(infos)} images'
    labels = Counter(
        info['gt_label']
        for info in infos
        if isinstance(info.get('gt_label'), int)
    )
    for info in infos:
        labels.update(i['bbox_label'] for i in info.get('instances', ()))
    unit = ''
    if pixels:
        total = sum(pixels.values())
        labels = Counter({k: 100 * v / total for k, v in pixels.items()})
        unit = ' % of pixels'
    known = names or ()
    shown = [
        f'{known[k] if 0 <= k < len(known) else k}: {v:.4g}{unit}'
        for k, v in labels.most_common(SHOWN)
    ]
    if len(labels) > SHOWN:
        shown.append(f'{len(labels) - SHOWN} more classes')
    return f'{text} ({", ".join(shown)})' if shown else text
