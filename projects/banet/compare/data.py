"""The data of a comparison: where it lies, and whether it is the same."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from ..data.evaluators import metrics_in
from ..data.sets import leaves, SPLITS
from ..utils.files import files_below


def move_data(config: Config, folder: Path) -> None:
    """Let all data sets and evaluators read from a folder.

    Args:
        config (Config): A recipe, changed in place.
        folder (Path): What becomes the ``data_root``.
    """
    for split in SPLITS:
        loader = config.get(f'{split}_dataloader')
        if not loader:
            continue
        roots = set()
        for _, dataset in leaves(loader.dataset):
            roots.add(dataset.get('data_root') or '')
            dataset['data_root'] = str(folder)
        for metric in metrics_in(config.get(f'{split}_evaluator')):
            file = metric.get('ann_file') or ''
            above = filter(Path(file).is_relative_to, roots - {''})
            root = max(above, key=len, default=None) if file else None
            if root:
                inner = Path(file).relative_to(root)
                metric['ann_file'] = str(folder / inner)


def roots_of(config: Config) -> list[Path]:
    """The folders of the data, all splits'.

    Also those that a data set names outside, and its list; what lies in a
    store is left to who reads it.
    """
    loaders = [config.get(f'{split}_dataloader') for split in SPLITS]
    found = {
        Path(place)
        for loader in loaders
        if loader
        for _, dataset in leaves(loader.dataset)
        for place in _places(dataset)
    }
    return sorted(found)


def _places(dataset):
    root, prefix = dataset.get('data_root'), dataset.get('data_prefix')
    prefixes = prefix.values() if isinstance(prefix, dict) else [prefix]
    named = list(filter(None, [*prefixes, dataset.get('ann_file')]))
    if root:  # relative ones are below it
        named = [root, *filter(os.path.isabs, named)]
    return [place for place in named if '://' not in place]


def data_id(roots: Sequence[Path]) -> str:
    """Changes with the name or size of any file of the data.

    Args:
        roots (list[Path]): Folders, and files by themselves.
    """
    digest = hashlib.sha256()
    for root in roots:
        files = [root] if root.is_file() else files_below(root)
        for file in sorted(p for p in files if p.is_file()):
            # A file by itself has its name as well.
            name = file.relative_to(root.parent if file == root else root)
            digest.update(os.fsencode(f'{name} {file.stat().st_size}\n'))
    return digest.hexdigest()[:12]
