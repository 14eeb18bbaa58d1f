"""Segmentation: folders of images and label PNGs, and a file of classes."""

import copy
from pathlib import Path

from ..data.folders import check_pairs, images_in
from ..data.labels import check_label
from ..utils.colours import palette
from .checks import check_folder, NewConfigError, refuse

LOOKED_AT = 50  # label images; tools/check_data.py reads all


def read_classes(path) -> tuple[list[str], list[tuple[int, int, int]]]:
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
        if coloured:
            colours.append((int(r), int(g), int(b)))
    if len(names) < 2 or len(set(names)) < len(names):
        raise NewConfigError(
            f'--classes {path} has {len(names)} names, '
            f'{len(set(names))} of them different: write at least two, each '
            'once.'
        )
    if len(colours) < len(names):
        colours = palette(len(names))
    return names, colours


def suffixes_of(images, labels, classes: list[str], option: str):
    """Suffixes of images and labels, which must belong together.

    Raises:
        NewConfigError: An image has no label PNG, or a label no class.
    """
    images = check_folder(images, option)
    labels = check_folder(labels, option.replace('data', 'labels'))
    refuse(check_pairs(images, labels), option)
    for file in images_in(labels)[:LOOKED_AT]:
        problems, _ = check_label(str(file), None, len(classes), {})
        refuse(problems, option.replace('data', 'labels'))
    return images_in(images)[0].suffix, images_in(labels)[0].suffix


def data_of(args, base) -> tuple[list[str], dict]:
    """Classes, and what the config says of the data."""
    classes, colours = read_classes(args.classes)
    suffixes = suffixes_of(args.data, args.labels, classes, '--data')
    val = args.data, args.labels
    if args.val_data:
        val = args.val_data, args.val_labels
        if suffixes != suffixes_of(*val, classes, '--val-data'):
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
