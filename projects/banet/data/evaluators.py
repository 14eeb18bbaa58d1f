"""The evaluators of a config, which read annotations of their own."""

import os
from collections.abc import Iterator

from mmengine.config import Config

from ..utils.text import shorten
from .report import ERROR, Problem
from .sets import ann_file_of, is_coco, leaves


def metrics_in(evaluator) -> Iterator[dict]:
    """The metrics of an evaluator: one, several, or those that it lists."""
    several = isinstance(evaluator, (list, tuple))
    for one in filter(None, evaluator if several else [evaluator]):
        if one.get('metrics'):
            yield from metrics_in(one['metrics'])
        else:
            yield one


def measures_masks(evaluator) -> bool:
    """Whether an evaluator of the config compares masks of objects."""
    return any(
        'segm' in str(metric.get('metric', ''))
        for metric in metrics_in(evaluator)
    )


def check_evaluator(cfg: Config, split: str) -> list[Problem]:
    """Whether results are compared with the file of the images' data set."""
    loader, evaluator = (
        cfg.get(f'{split}_{part}') for part in ('dataloader', 'evaluator')
    )
    if not loader:
        return []
    found = []
    for metric in metrics_in(evaluator):
        path = metric.get('ann_file')
        if not isinstance(path, str) or not path or '://' in path:
            continue
        where = f'{split}_evaluator.ann_file'
        if not os.path.isfile(path):
            text = f'{path} does not exist (looked in {os.getcwd()})'
            kind = 'missing annotation file'
            found.append(Problem(ERROR, kind, where, text))
            continue
        theirs = {
            os.path.realpath(ann_file_of(leaf))
            for _, leaf in leaves(loader['dataset'])
            if is_coco(leaf) and leaf.get('ann_file')
        }
        if theirs and os.path.realpath(path) not in theirs:
            text = (
                f'{path} is not the ann_file of the images, '
                f'{shorten(sorted(theirs))}: results would be compared with '
                'other objects'
            )
            kind = 'evaluator of another file'
            found.append(Problem(ERROR, kind, where, text))
    return found
