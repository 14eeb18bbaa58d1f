"""The data sets of a config: each by itself, its classes and heads."""

import os
from collections.abc import Iterator, Sequence
from typing import Optional

from mmengine.config import Config
from mmengine.fileio import list_from_file
from mmengine.registry import DATASETS

from ..utils.errors import BanetError
from ..utils.registered import class_of
from ..utils.text import shorten
from .boxes import check_size
from .coco import check_coco, read_coco
from .report import ERROR, NOTE, Problem
from .voc import check_voc

SPLITS = 'train', 'val', 'test'
OWN_CLASSES = 'rpn_head', 'semantic_head'


class CheckError(BanetError):
    """Why a config's data cannot be looked at, with the remedy."""


def leaves(dataset: dict, key: str = '') -> Iterator[tuple[str, dict]]:
    """The data sets inside wrappers such as RepeatDataset, ConcatDataset.

    Args:
        dataset (dict): Config of a data set or wrapper.
        key (str): Where it stands in the config.

    Yields:
        tuple: Where each stands, and its config.
    """
    for name in ('dataset', 'datasets'):
        inner = dataset.get(name)
        if inner and isinstance(inner, (list, tuple)):
            for i, child in enumerate(inner):
                yield from leaves(child, f'{key}.{name}.{i}')
            return
        if inner:
            yield from leaves(inner, f'{key}.{name}')
            return
    yield key, dataset


def split_leaves(cfg: Config) -> Iterator[tuple[str, dict]]:
    """Yield (split, config) of every data set.

    One that two splits share, as val and test usually do, comes once.

    Raises:
        CheckError: The config has no data.
    """
    seen: list[dict] = []
    loaders = {split: cfg.get(f'{split}_dataloader') for split in SPLITS}
    if not any(loaders.values()):
        raise CheckError(
            'the config has no train_dataloader, val_dataloader or '
            'test_dataloader: nothing to check.'
        )
    for split, loader in loaders.items():
        for _, leaf in leaves(loader['dataset']) if loader else ():
            if leaf not in seen:
                seen.append(leaf)
                yield split, leaf


def build(leaf: dict):
    """The data set, or the exception that came of building it."""
    try:
        return DATASETS.build(leaf)
    except Exception as error:  # data sets raise anything
        return error


def check_build(leaf: dict, dataset) -> Optional[Problem]:
    """The problem of a data set that could not be built or is empty."""
    where = kind_of(leaf)[0]
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


def kind_of(leaf: dict, dataset=None) -> list[str]:
    """Names of a data set's class and its bases.

    In new-style configs a ``type`` is the class itself.
    """
    kind = leaf['type']
    if dataset is not None and not isinstance(dataset, Exception):
        kind = type(dataset)
    found = class_of(DATASETS, kind)
    if found is None:
        return [kind.rpartition('.')[2]]
    return [cls.__name__ for cls in found.__mro__]


def is_coco(leaf: dict, dataset=None) -> bool:
    """Whether it reads boxes from a COCO file, as mmdet's CocoDataset.

    Panoptic files and those of LVIS have other fields.
    """
    names = kind_of(leaf, dataset)
    return any(name.endswith('CocoDataset') for name in names) and not any(
        other in name for name in names for other in ('Panoptic', 'LVIS')
    )


def ann_file_of(leaf: dict, dataset=None) -> str:
    """Path of the annotations; one that could not be built has not joined."""
    return getattr(dataset, 'ann_file', None) or os.path.join(
        leaf.get('data_root') or '', leaf.get('ann_file') or ''
    )


def classes_in(leaf: dict, dataset=None) -> Optional[Sequence[str]]:
    """Names of the classes, also of a data set that was not built."""
    metainfo = getattr(dataset, 'metainfo', leaf.get('metainfo') or {})
    if dataset is None and metainfo.get('classes') is None:
        metainfo = getattr(class_of(DATASETS, leaf['type']), 'METAINFO', {})
    names = metainfo.get('classes')
    if isinstance(names, str) and os.path.isfile(names):
        return list_from_file(names)  # as mmengine does
    return names


def counts_in(names: Optional[Sequence[str]], dataset=None) -> tuple[int, ...]:
    """How many classes heads may have for a data set of these ones."""
    things = getattr(dataset, 'metainfo', {}).get('thing_classes') or ()
    return tuple(len(found) for found in (names, things) if found)


def check_class_list(
    names: Optional[Sequence[str]], where: str
) -> list[Problem]:
    """One text in the place of a list of names would be a class a letter."""
    if not isinstance(names, str):
        return []
    text = (
        f'classes={names!r} is one text, and no file of that name is there: '
        f'write classes=({names!r},)'
    )
    return [Problem(ERROR, 'class list that is one text', where, text)]


def folders_of(dataset) -> Optional[Sequence[str]]:
    """Folders that are classes, as mmpretrain numbered them; or None."""
    numbers = getattr(dataset, 'folder_to_idx', None) or {}
    return sorted(numbers, key=lambda name: numbers[name]) or None


def check_folder_order(
    names: Optional[Sequence[str]], dataset
) -> list[Problem]:
    """Class folders are numbered by the alphabet, whatever ``classes`` says.

    Folders with other names than the classes, as ImageNet's, tell nothing.
    """
    folders = folders_of(dataset) or []
    if not names or folders == list(names) or set(folders) != set(names):
        return []
    text = (
        f'classes={shorten(names)}, and the folders are numbered '
        f'{shorten(folders)}: write the classes in this order'
    )
    return [Problem(ERROR, 'classes in another order', 'metainfo', text)]


def learns_masks(leaf: dict) -> bool:
    """Whether its pipeline loads masks of objects."""
    return any(
        isinstance(step, dict) and step.get('with_mask')
        for step in leaf.get('pipeline') or ()
    )


def check_annotations(
    leaf: dict, dataset, masks: bool, evaluates: bool
) -> tuple[list[Problem], list[str]]:
    """Problems of an annotation file as it is, not as upstream filters it.

    Args:
        leaf (dict): Config of the data set.
        dataset (Dataset | Exception | None): What was built of it; None:
            nothing was.
        masks, evaluates: See :func:`banet.data.coco.check_coco`.

    Returns:
        tuple: The problems, and the images that the file names.
    """
    classes = classes_in(leaf, dataset)
    # In test mode upstream leaves nothing out.
    limits = {} if leaf.get('test_mode') else leaf.get('filter_cfg') or {}
    if {'XMLDataset', 'VOCDataset'} & set(kind_of(leaf, dataset)):
        root = os.path.join(
            leaf.get('data_root') or '',
            (leaf.get('data_prefix') or {}).get('sub_data_root', ''),
        )
        folder = leaf.get('ann_subdir', 'Annotations')
        file = ann_file_of(leaf, dataset)
        found = check_voc(root, file, folder, classes or (), evaluates, limits)
        return found, []
    if not leaf.get('ann_file') or not is_coco(leaf, dataset):
        return [], []
    path = ann_file_of(leaf, dataset)
    content, found = read_coco(path, bool(leaf.get('test_mode')))
    if content is None:
        return found, []
    if any('Objects365' in name for name in kind_of(leaf, dataset)):
        content['categories'].sort(key=lambda c: c['id'])  # as upstream does
    if leaf.get('test_mode') and not content['annotations']:
        text = 'enough to predict, not to evaluate'
        found.append(Problem(NOTE, 'no annotations at all', path, text))
    else:
        found += check_coco(content, path, classes, masks, evaluates)
    least = limits.get('min_size', 0)
    for image in content['images']:
        size = image['width'], image['height']
        found += check_size(size, least, image['file_name'])
    folder = os.path.join(
        leaf.get('data_root') or '',
        (leaf.get('data_prefix') or {}).get('img', ''),
    )
    images = [os.path.join(folder, i['file_name']) for i in content['images']]
    return found, images


def check_heads(
    model: dict, counts: Sequence[int], path: str = 'model'
) -> list[Problem]:
    """Compare every head's ``num_classes`` with the data set's.

    Args:
        model (dict): The config's, or a part of it.
        counts (Sequence[int]): Of the data set's classes; of panoptic data
            also of its things. Empty, if that is not known.
        path (str): Where the part stands in the config.
    """
    found: list[Problem] = []
    if model.get('type') == 'STDCHead':  # of boundaries
        return found
    for key, value in model.items():
        if key == 'num_classes' and counts and value not in counts:
            text = f'{value}, but the data has {counts[0]} classes'
            kind = 'num_classes of another data set'
            found.append(Problem(ERROR, kind, f'{path}.{key}', text))
        # Heads with classes of their own: of regions, of HTC's stuff.
        children = value if isinstance(value, (list, tuple)) else [value]
        for child in children:
            if isinstance(child, dict) and key not in OWN_CLASSES:
                found += check_heads(child, counts, f'{path}.{key}')
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
