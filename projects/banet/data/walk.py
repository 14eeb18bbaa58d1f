"""The walk: build a config's data sets, look at every item of each."""

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Optional

from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from mmengine.utils import ProgressBar

from ..utils.errors import BanetError
from .coco import check_boxes, check_categories, check_classes, read_coco
from .images import check_image
from .labels import check_label
from .report import ERROR, NOTE, Problem, Report
from .sheet import draw_sheet

SPLITS = ('train', 'val', 'test')
SHOWN = 10  # classes in a summary
OWN_CLASSES = 'rpn_head', 'semantic_head'


class CheckError(BanetError):
    """Why a config's data cannot be looked at, with the remedy."""


def leaves(dataset: dict) -> Iterator[dict]:
    """The data sets inside wrappers such as RepeatDataset, ConcatDataset."""
    inner = dataset.get('dataset') or dataset.get('datasets')
    if not inner:
        yield dataset
        return
    for child in inner if isinstance(inner, (list, tuple)) else [inner]:
        yield from leaves(child)


def build_leaves(cfg: Config) -> Iterator[tuple]:
    """Yield (split, config, data set or the exception) of every data set.

    A data set that two splits share, as val and test usually do, comes once.

    Raises:
        CheckError: The config has no data.
    """
    seen, any_loader = [], False
    for split in SPLITS:
        loader = cfg.get(f'{split}_dataloader')
        if not loader:
            continue
        any_loader = True
        for leaf in leaves(loader['dataset']):
            if leaf in seen:
                continue
            seen.append(leaf)
            try:
                yield split, leaf, DATASETS.build(leaf)
            except Exception as error:  # data sets raise anything
                yield split, leaf, error
    if not any_loader:
        raise CheckError(
            'the config has no train_dataloader, val_dataloader or '
            'test_dataloader: nothing to check.'
        )


def check_data(
    cfg: Config, workers: int = 0, out: Optional[Path] = None
) -> Report:
    """Look at every image and annotation that a config trains or tests on.

    Args:
        cfg (Config): Config of mmpretrain, mmdet or mmseg.
        workers (int): Processes that read the files; 0: this one.
        out (Path | None): Folder for a contact sheet per data set.

    Raises:
        CheckError: The config has no data.
    """
    init_default_scope(cfg.default_scope)
    report = Report()
    classes: dict[str, Optional[Sequence[str]]] = {}
    paths: dict[str, str] = {}
    for split, leaf, dataset in build_leaves(cfg):
        report.add(split, check_annotations(leaf, dataset))
        problem = check_build(leaf, dataset)
        if problem:
            report.add(split, [problem])
            continue
        names = dataset.metainfo.get('classes')
        classes.setdefault(split, names)
        report.add(split, check_heads(cfg.model, names))
        infos = [dataset.get_data_info(i) for i in range(len(dataset))]
        if 'img_path' not in infos[0] or '://' in infos[0]['img_path']:
            text = 'its images are no local files: they are not looked at'
            kind = 'data set elsewhere'
            report.add(split, [Problem(NOTE, kind, leaf['type'], text)])
            report.contents.append((split, f'{len(infos)} images'))
            continue
        check = partial(
            check_item, reader(dataset), len(names) if names else None
        )
        pixels: Counter[int] = Counter()
        for problems, counts in each(check, infos, workers, split):
            report.add(split, problems)
            pixels += counts
        report.contents.append((split, describe(infos, pixels, names)))
        if out:
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


def check_build(leaf: dict, dataset) -> Optional[Problem]:
    """The problem of a data set that could not be built or is empty."""
    where = str(leaf.get('type'))
    # mmengine joins the serialised images, and numpy cannot join none.
    if 'need at least one array' in str(dataset) or (
        not isinstance(dataset, Exception) and not len(dataset)
    ):
        text = ', '.join(
            f'{key}={leaf.get(key)!r}'
            for key in ('data_root', 'ann_file', 'data_prefix', 'img_suffix')
            if leaf.get(key)
        )
        return Problem(ERROR, 'no images', where, f'looked in {text}')
    if isinstance(dataset, Exception):
        text = f'{type(dataset).__name__}: {dataset}'
        return Problem(ERROR, 'data set that cannot be built', where, text)
    return None


def check_annotations(leaf: dict, dataset) -> list[Problem]:
    """Problems of a COCO file as it is, not as upstream filters it."""
    # One that could not be built has not joined its paths.
    path = getattr(dataset, 'ann_file', None) or os.path.join(
        leaf.get('data_root') or '', leaf.get('ann_file') or ''
    )
    if not path.endswith('.json') or not _is_coco(leaf, dataset):
        return []
    content, found = read_coco(path, bool(leaf.get('test_mode')))
    if content is None:
        return found
    if leaf.get('test_mode') and not content['annotations']:
        text = 'enough to predict, not to evaluate'
        return found + [Problem(NOTE, 'no annotations at all', path, text)]
    metainfo = getattr(dataset, 'metainfo', leaf.get('metainfo') or {})
    found += check_categories(content, path)
    found += check_classes(content, metainfo.get('classes') or (), path)
    return found + check_boxes(content, path)


def _is_coco(leaf, dataset):
    """Whether it reads boxes from a COCO file, as mmdet's CocoDataset."""
    if isinstance(dataset, Exception):
        names = [str(leaf['type'])]
    else:
        names = [cls.__name__ for cls in type(dataset).__mro__]
    return any(name.endswith('CocoDataset') for name in names) and not any(
        'Panoptic' in name for name in names
    )


def check_heads(
    model: dict, classes: Optional[Sequence[str]], path: str = 'model'
) -> list[Problem]:
    """Compare every head's ``num_classes`` with the data set's classes."""
    found = []
    for key, value in model.items():
        if key == 'num_classes' and classes and value != len(classes):
            text = f'{value}, but the data has {len(classes)} classes'
            kind = 'num_classes of another data set'
            found.append(Problem(ERROR, kind, f'{path}.{key}', text))
        # Heads with classes of their own: of regions, of HTC's stuff.
        children = value if isinstance(value, (list, tuple)) else [value]
        for child in children:
            if isinstance(child, dict) and key not in OWN_CLASSES:
                found += check_heads(child, classes, f'{path}.{key}')
    return found


def check_splits(classes: dict) -> list[Problem]:
    """The splits must name the same classes in the same order."""
    train = classes.get('train')
    return [
        Problem(
            ERROR,
            'other classes than in training',
            split,
            f'{list(names)[:10]} instead of {list(train)[:10]}: the same '
            'number would mean another class',
        )
        for split, names in classes.items()
        if train and names and tuple(names) != tuple(train)
    ]


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
