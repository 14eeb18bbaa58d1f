"""Segmentation: folders of images and label PNGs, and a list of classes."""

import copy
import os
from collections import Counter
from functools import partial
from pathlib import Path

from PIL import Image

from ..data.class_lists import ClassListError, find_list, read_list
from ..data.images import check_file, IMAGES, ORIENTATION
from ..data.labels import check_label, Labels
from ..data.layouts import Ends, find_ends
from ..data.report import ERROR, Problem
from ..data.unread import check_junk
from ..data.walk import each
from ..utils.files import files_below
from .checks import check_folder, check_val_option, NewConfigError, refuse


def read_classes(path, *folders: Path):
    """Names and colours of the list that is named or lies with the data.

    Raises:
        NewConfigError: There is none, or it cannot be read.
    """
    path = path or find_list(*folders)
    if path is None:
        raise NewConfigError(
            '--classes is missing: name a text file with a class per line, '
            'the first for label 0.'
        )
    try:
        return read_list(Path(path))
    except ClassListError as error:
        raise NewConfigError(f'--classes {path} {error}.') from error


def ends_of(
    folders: tuple[Path, Path], classes: list[str], args, option: str
) -> Ends:
    """Ends of the names in both folders, which must belong together.

    Raises:
        NewConfigError: An image has no label, or a label no class.
    """
    images, labels = folders
    ends, problems = find_ends(images, labels, args.label_suffix)
    refuse(problems, option)
    # mmseg leaves hidden files alone, but not what lies in hidden folders.
    read = [
        str(file)
        for file in files_below(images)
        if file.suffix.lower() in IMAGES and not file.name.startswith('.')
    ]
    refuse(check_junk(read, str(images)), option)  # so that none is left
    assert ends is not None  # or a problem has been refused
    seen, where = Labels(), option.replace('data', 'labels')
    wrong = []
    files = [path for path in read if path.endswith(ends.image)]
    check = partial(_check_label_of, folders, ends, len(classes))
    for problems, pixels in each(check, files, 0, where):
        wrong += problems
        seen.add(pixels)
    # What all of them say together explains each.
    together = seen.problems(classes, str(labels), evaluates=True)
    refuse(together, where)
    refuse(wrong, where)
    return ends


def _check_label_of(folders, ends, count, image):
    """Look at the label of an image, of which only the size is read."""
    images, labels = folders
    stem = os.path.relpath(image, images)[: -len(ends.image)]
    damaged = [p for p in check_file(image) if p.severity == ERROR]
    if damaged:
        return damaged, Counter()
    path = str(labels / f'{stem}{ends.label}')
    try:
        with Image.open(image) as opened:
            width, height = opened.size
            if opened.getexif().get(ORIENTATION, 1) > 4:  # a quarter turn
                width, height = height, width
    except Image.DecompressionBombError as error:
        # Pillow is what mmseg reads labels of this size with.
        text = f'{error}: cut it, and its label, into parts'
        return [Problem(ERROR, 'very large image', image, text)], Counter()
    return check_label(path, (height, width), count, {})


def data_of(args, base) -> tuple[list[str], dict]:
    """Classes, and what the config says of the data."""
    check_val_option(args, 'val_labels')
    train = _folders(args.data, args.labels, '--data')
    classes, colours = read_classes(args.classes, *train)
    train_ends = ends_of(train, classes, args, '--data')
    val, val_ends = train, train_ends
    if args.val_data:
        val = _folders(args.val_data, args.val_labels, '--val-data')
        val_ends = ends_of(val, classes, args, '--val-data')

    def dataset(loader, folders, ends):
        images, labels = folders
        inner = loader.dataset
        pipeline = inner.get('pipeline') or inner.datasets[0].pipeline
        return dict(
            _delete_=True,
            type='BaseSegDataset',
            data_prefix=dict(img_path=str(images), seg_map_path=str(labels)),
            img_suffix=ends.image,
            seg_map_suffix=ends.label,
            reduce_zero_label=False,
            metainfo=dict(classes=classes, palette=colours),
            pipeline=[_unreduced(step) for step in pipeline],
        )

    loader = dict(dataset=dataset(base.val_dataloader, val, val_ends))
    return classes, dict(
        train_dataloader=dict(
            dataset=dataset(base.train_dataloader, train, train_ends)
        ),
        val_dataloader=loader,
        test_dataloader=loader,
    )


def _folders(images, labels, option):
    """Both folders; labels may lie beside the images, in the same one."""
    images = check_folder(images, option)
    if labels is None:
        labels = images
    labels = check_folder(labels, option.replace('data', 'labels'))
    return images.resolve(), labels.resolve()


def _unreduced(step):
    step = copy.deepcopy(step.to_dict())
    step.pop('reduce_zero_label', None)  # ADE20K's own
    return step
