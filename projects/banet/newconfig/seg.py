"""Segmentation: folders of images and label PNGs, and a file of classes."""

import copy
from pathlib import Path

import numpy as np
from PIL import Image

from ..colours import palette
from ..loading import shorten
from .checks import check_folder, images_in, NewConfigError, suffix_of

IGNORED = 255
LOOKED_AT = 50  # label images; tools/check_data.py reads all


def read_classes(path) -> tuple[list[str], list]:
    """Names and colours, a line per class: a name, or a name and R G B.

    Raises:
        NewConfigError: The file is not there or empty, or repeats a name.
    """
    if path is None:
        raise NewConfigError(
            '--classes is missing: name a text file with a class per line, '
            'the first for label 0.'
        )
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, ValueError) as error:
        raise NewConfigError(
            f'--classes {path} cannot be read: {error}.'
        ) from error
    names, colours = [], []
    for line in filter(None, map(str.strip, lines)):
        *words, r, g, b = ['', '', '', *line.replace(',', ' ').split()]
        coloured = all(word.isdigit() for word in (r, g, b))
        name = ' '.join(filter(None, words)) if coloured else line
        names.append(name)
        colours.append((int(r), int(g), int(b)) if coloured else None)
    if len(names) < 2 or len(set(names)) < len(names):
        raise NewConfigError(
            f'--classes {path} has {len(names)} names, '
            f'{len(set(names))} of them different: write at least two, each '
            'once.'
        )
    if None in colours:
        colours = palette(len(names))
    return names, colours


def check_pairs(images, labels, classes: list[str], option: str):
    """Suffixes of images and labels, which must belong together.

    Raises:
        NewConfigError: An image has no label PNG, or a label no class.
    """
    images = images_in(check_folder(images, option), option)
    folder = check_folder(labels, option.replace('data', 'labels'))
    files = images_in(folder, option.replace('data', 'labels'))
    suffixes = suffix_of(images, option), suffix_of(files, '--labels')
    lost = sorted({p.stem for p in images} - {p.stem for p in files})
    if lost:
        raise NewConfigError(
            f'{len(lost)} of {len(images)} images have no label of the same '
            f'name in {folder}: {shorten(lost)}.'
        )
    for file in files[:LOOKED_AT]:
        try:
            labels = np.asarray(Image.open(file))
        except OSError as error:
            raise NewConfigError(f'{file} cannot be read: {error}') from error
        if labels.ndim != 2:
            raise NewConfigError(
                f'{file} has {labels.shape[-1]} channels: a label PNG has '
                'one, whose values are the classes.'
            )
        values = np.unique(labels)
        strange = [v for v in values.tolist() if len(classes) <= v != IGNORED]
        if strange:
            raise NewConfigError(
                f'{file} has the values {shorten(map(str, strange))}, but '
                f'there are {len(classes)} classes: labels are 0 to '
                f'{len(classes) - 1}, and {IGNORED} for pixels to ignore.'
            )
    return suffixes


def data_of(args, base) -> tuple[list[str], dict]:
    """Classes, and what the config says of the data."""
    classes, colours = read_classes(args.classes)
    suffixes = check_pairs(args.data, args.labels, classes, '--data')
    val = args.data, args.labels
    if args.val_data:
        val = args.val_data, args.val_labels
        if suffixes != check_pairs(*val, classes, '--val-data'):
            raise NewConfigError(
                'images and labels of training and validation must have the '
                'same suffixes.'
            )

    def dataset(loader, images, labels):
        inner = loader.dataset
        pipeline = inner.get('pipeline') or inner.datasets[0].pipeline
        return dict(
            _delete_=True,
            type='BaseSegDataset',
            data_prefix=dict(img_path=str(images), seg_map_path=str(labels)),
            img_suffix=suffixes[0],
            seg_map_suffix=suffixes[1],
            reduce_zero_label=False,
            metainfo=dict(classes=classes, palette=colours),
            pipeline=[_unreduced(step) for step in pipeline],
        )

    loader = dict(dataset=dataset(base.val_dataloader, *val))
    return classes, dict(
        train_dataloader=dict(
            dataset=dataset(base.train_dataloader, args.data, args.labels)
        ),
        val_dataloader=loader,
        test_dataloader=loader,
    )


def _unreduced(step):
    step = copy.deepcopy(step.to_dict())
    step.pop('reduce_zero_label', None)  # ADE20K's own
    return step
