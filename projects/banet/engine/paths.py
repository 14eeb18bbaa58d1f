"""Is everything there that a data set's config names?"""

import os
from collections.abc import Iterator
from inspect import signature
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.model import PretrainedInit
from mmengine.registry import DATASETS, WEIGHT_INITIALIZERS

from ..apis.config import ConfigError
from ..data.evaluators import check_evaluator
from ..data.sets import is_coco, leaves
from ..utils.registered import class_of


class LaunchError(ConfigError):
    """What stands in the way of a run, with its remedy."""


def check_paths(dataset: dict, key: str, scope: str) -> None:
    """Raise LaunchError if a path that a data set names is not there.

    Its ``data_root``, ``ann_file``, each ``data_prefix``, and ``indices``
    beyond the lines of a list; also within wrappers.

    Args:
        dataset (dict): Config of the data set.
        key (str): Where it stands in the config.
        scope (str): The config's ``default_scope``.
    """
    for place, leaf in leaves(dataset, key):
        _check_leaf(leaf, place, scope)


def check_truth(config: Config, split: str) -> None:
    """Raise LaunchError if an evaluator's own file is not the data set's."""
    for problem in check_evaluator(config, split):
        raise LaunchError(f'{problem.where}: {problem.text}.')


def check_starts(part: Any, key: str = 'model') -> None:
    """Raise LaunchError if a file that an ``init_cfg`` names is not there.

    Args:
        part (Any): Of the config.
        key (str): Where it stands in the config.
    """
    for place, path in pretrained_files(part, key):
        file = os.path.expanduser(path)  # as mmengine does
        if ':' not in path and not os.path.isfile(file):
            raise _missing(place, path, file)


def pretrained_files(part: Any, key: str = '') -> Iterator[tuple[str, str]]:
    """Where each ``init_cfg`` in a part of a config takes weights from.

    Yields:
        tuple: The place in the config, and the file or address there.
    """
    if isinstance(part, (list, tuple)):
        for i, child in enumerate(part):
            yield from pretrained_files(child, f'{key}.{i}')
    if not isinstance(part, dict):
        return
    path, kind = part.get('checkpoint') or '', part.get('type')
    if path and class_of(WEIGHT_INITIALIZERS, kind) is PretrainedInit:
        yield f'{key}.checkpoint', path
    for name, child in part.items():
        yield from pretrained_files(child, f'{key}.{name}')


def _check_leaf(dataset, key, scope):
    backend = dataset.get('backend_args') or dict(backend='local')
    if backend != dict(backend='local') or not _reads_files(dataset, scope):
        return
    root = dataset.get('data_root') or ''
    if '://' in root:
        return
    if root and not os.path.isdir(root):
        raise _missing(f'{key}.data_root', root, root)
    named: dict[str, Any] = {'ann_file': dataset.get('ann_file')}
    prefix = dataset.get('data_prefix')
    prefixes = prefix if isinstance(prefix, dict) else {'': prefix}
    for name, value in prefixes.items():
        named[f'data_prefix.{name}'.rstrip('.')] = value
    for name, value in named.items():
        if not isinstance(value, str) or not value or '://' in value:
            continue
        path = os.path.join(root, value)  # or value, if it is absolute
        if not os.path.exists(path):
            raise _missing(f'{key}.{name}', value, path)
        if name == 'ann_file' and os.path.isdir(path) and is_coco(dataset):
            raise LaunchError(
                f'{key}.ann_file={value} is a folder: name the json file.'
            )
    _check_indices(dataset, key, root)


def _missing(key, value, path):
    home = ' (nothing expands the ~ in a config)' if '~' in path else ''
    return LaunchError(
        f'{key}={value} does not exist (looked in '
        f'{os.path.dirname(path) or "."} from {os.getcwd()}{home}). '
        f'Put it there, or add --cfg-options {key}=PATH.'
    )


def _reads_files(dataset, scope):
    """Whether its class is known and fetches nothing by itself."""
    kind = class_of(DATASETS, dataset.get('type'), scope)
    # An unknown one: upstream says so. CIFAR10 makes its own root.
    return kind is not None and 'download' not in signature(kind).parameters


def _check_indices(dataset, key, root):
    """``indices`` beyond a list's lines stop with an IndexError upstream."""
    indices, file = dataset.get('indices'), dataset.get('ann_file') or ''
    path = os.path.join(root, file)
    if not isinstance(indices, int) or not path.endswith('.txt'):
        return
    if '://' in path:  # in a store
        return
    count = len(Path(path).read_text().splitlines())
    if abs(indices) > count:
        raise LaunchError(
            f'{key}.indices={indices}, but {path} has {count} lines: use at '
            f'most {count}.'
        )
