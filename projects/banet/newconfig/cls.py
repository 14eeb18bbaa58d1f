"""Classification: a folder per class, split by folders or by a share."""

import os
import random
from pathlib import Path
from typing import Optional

from ..data.folders import check_class_folders, class_folders, images_below
from ..utils.files import check_target, put_whole
from .checks import check_folder, check_same, NewConfigError, refuse

# Folders of training and validation, the first one that is there.
TRAIN = 'train', 'training'
VAL = 'val', 'valid', 'validation', 'test', 'testing'
ENDS = '', 'set', '_set', '-set'  # as in training_set
SEED = 0


def classes_in(folder: Path, option: str) -> list[str]:
    """Names of the classes: the sorted names of the folders.

    Raises:
        NewConfigError: There are less than two, or one holds no image.
    """
    refuse(check_class_folders(folder), option)
    return [path.name for path in class_folders(folder)]


def find_splits(args) -> tuple[Path, Optional[Path]]:
    """Folders of training and validation; None: a share of the former.

    Raises:
        NewConfigError: A folder is missing, or two things are asked for.
    """
    root = check_folder(args.data, '--data').resolve()
    train, val = (_first(root, names) for names in (TRAIN, VAL))
    if val and not train:
        raise NewConfigError(
            f'--data {root} has a folder {val.name}, which is no class, and '
            f'none called {TRAIN[0]}: name the folder that holds the training '
            "images' classes, and the other one with --val-data."
        )
    if args.val_data:
        val = check_folder(args.val_data, '--val-data').resolve()
    if args.val_share is not None:
        if not 0 < args.val_share < 1:
            raise NewConfigError(
                f'--val-share {args.val_share} must lie between 0 and 1, '
                'such as 0.2.'
            )
        if args.val_data:
            raise NewConfigError(
                '--val-data and --val-share exclude each other.'
            )
        val = None
    elif val is None:
        raise NewConfigError(
            f'--data {root} has no {" or ".join(VAL[:4])} folder: name one '
            'with --val-data, or take a share of the images, --val-share 0.2.'
        )
    return train or root, val


def _first(root, names):
    """The folder whose name, in any case, is the first of ``names``.

    Not one that is a class beside others, as ``train`` of vehicles.
    """
    there = {p.name.lower(): p for p in class_folders(root)}
    splits = {name + end for name in TRAIN + VAL for end in ENDS}
    others = there.keys() - splits
    there = {
        name: folder
        for name, folder in there.items()
        if not others or class_folders(folder)
    }
    asked = (name + end for name in names for end in ENDS)
    return next((there[name] for name in asked if name in there), None)


def data_of(args, base) -> tuple[list[str], dict]:
    """Classes, and what the config says of the data."""
    train, val = find_splits(args)
    classes = classes_in(train, '--data')
    if val is None:
        lists = write_lists(train, args)
        places = {
            split: dict(data_root=str(train), ann_file=str(path.resolve()))
            for split, path in lists.items()
        }
    else:
        check_same(classes, classes_in(val, '--data'), 'the classes')
        places = dict(
            train=dict(data_root=str(train)), val=dict(data_root=str(val))
        )
    suffixes = sorted(
        {
            path.suffix.lower()
            for f in {train, val or train}
            for path in images_below(f)
        }
    )
    topk = (1, 5) if len(classes) > 5 else (1,)

    def dataset(loader, split):
        return dict(
            _delete_=True,
            type='CustomDataset',
            **places[split],
            metainfo=dict(classes=classes),
            # mmpretrain leaves out others, such as .webp, without a word.
            extensions=suffixes,
            pipeline=[step.to_dict() for step in loader.dataset.pipeline],
        )

    loader = dict(dataset=dataset(base.val_dataloader, 'val'))
    return classes, dict(
        model=dict(head=dict(topk=topk)),
        data_preprocessor=dict(num_classes=len(classes)),
        train_dataloader=dict(dataset=dataset(base.train_dataloader, 'train')),
        val_dataloader=loader,
        test_dataloader=loader,
        val_evaluator=dict(topk=topk),
        test_evaluator=dict(topk=topk),
    )


def write_lists(folder: Path, args) -> dict[str, Path]:
    """Write two lists of images beside the config: a share of each class.

    Raises:
        NewConfigError: A class has too few images for both.
        CheckpointError: A list exists.
    """
    draw = random.Random(SEED)
    lines: dict[str, list[str]] = dict(train=[], val=[])
    for label, path in enumerate(class_folders(folder)):
        images = [os.path.relpath(p, folder) for p in images_below(path)]
        count = round(args.val_share * len(images))
        if not 0 < count < len(images):
            raise NewConfigError(
                f'--val-share {args.val_share} of the {len(images)} images '
                f'of {path.name} is {count}: both splits need one.'
            )
        draw.shuffle(images)
        for split, part in (
            ('val', images[:count]),
            ('train', images[count:]),
        ):
            lines[split] += [f'{name} {label}' for name in sorted(part)]
    out = Path(args.out)
    lists = {
        split: out.with_name(f'{out.stem}-{split}.txt') for split in lines
    }
    for path in lists.values():
        check_target(path, args.force)
    for line in (*lines['train'], *lines['val']):
        if not _is_line(line):
            raise NewConfigError(
                f'{line.rpartition(" ")[0]!a} cannot stand in a list of '
                'images, which is UTF-8 with a line each: rename the file.'
            )
    for split, path in lists.items():
        put_whole(''.join(f'{x}\n' for x in lines[split]).encode(), path)
    return lists


def _is_line(text):
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes that are no UTF-8
        return False
    return not {'\n', '\r'} & set(text)
