"""Detection: COCO json files and folders of images."""

import json
from collections import Counter
from pathlib import Path

from ..loading import shorten
from .checks import check_folder, check_same, NewConfigError


def read_coco(path, images, option: str, masks: bool) -> list[str]:
    """Names of the classes, in the order of their labels.

    Args:
        path (str | Path): Annotations in COCO's form.
        images (str | Path): Folder with their images.
        option (str): The command line's name for ``path``.
        masks (bool): Whether the model learns from masks, too.

    Raises:
        NewConfigError: What is wrong with the files, with the remedy.
    """
    folder = check_folder(images, '--images')
    try:
        coco = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise NewConfigError(
            f'{option} {path} is no json that can be read: {error}.'
        ) from error
    missing = [
        key
        for key in ('categories', 'images', 'annotations')
        if not (isinstance(coco, dict) and coco.get(key))
    ]
    if missing:
        raise NewConfigError(
            f'{option} {path} has no {", no ".join(missing)}: COCO files '
            'have lists of that name; categories are dicts of id and name.'
        )
    _check_categories(coco['categories'], option, path)
    ids = {category['id'] for category in coco['categories']}
    used = {a.get('category_id') for a in coco['annotations']}
    if used - ids:
        raise NewConfigError(
            f'{option} {path}: annotations have category_id '
            f'{shorten(map(str, sorted(used - ids, key=str)))}, which is '
            'none of the categories.'
        )
    if not all('file_name' in image for image in coco['images']):
        raise NewConfigError(
            f'{option} {path}: an entry of images has no file_name.'
        )
    lost = [
        image['file_name']
        for image in coco['images']
        if not (folder / image['file_name']).is_file()
    ]
    if lost:
        raise NewConfigError(
            f'{len(lost)} of {len(coco["images"])} images of {path} are not '
            f'in --images {folder}: {shorten(lost)}.'
        )
    if masks and not any(a.get('segmentation') for a in coco['annotations']):
        raise NewConfigError(
            f'{option} {path} has no segmentation for any object: take a '
            'model without masks, such as faster-rcnn.'
        )
    return [category['name'] for category in coco['categories']]


def _check_categories(categories, option, path):
    wrong = [c for c in categories if not {'id', 'name'} <= set(c)]
    if wrong:
        raise NewConfigError(
            f'{option} {path}: category {wrong[0]} has no id or no name.'
        )
    for key in ('id', 'name'):
        twice = [
            value
            for value, n in Counter(c[key] for c in categories).items()
            if n > 1
        ]
        if twice:
            raise NewConfigError(
                f'{option} {path}: several categories have the {key} '
                f'{twice[0]!r}; give each its own.'
            )
    ids = [category['id'] for category in categories]
    if ids != sorted(ids):
        raise NewConfigError(
            f'{option} {path}: the ids of the categories are out of order '
            f'({shorten(map(str, ids))}). mmdet takes labels in the order of '
            'the file, other tools in that of the ids: sort the categories '
            'by id.'
        )


def data_of(args, base) -> tuple[list[str], dict]:
    """Classes, and what the config says of the data."""
    masks = 'mask_head' in base.model.get('roi_head', {})
    val, val_images = args.val_data, args.val_images
    classes = read_coco(args.data, args.images, '--data', masks)
    if val:
        val_images = val_images or args.images
        check_same(
            classes,
            read_coco(val, val_images, '--val-data', masks),
            'the categories',
        )
    else:
        val, val_images = args.data, args.images

    def dataset(file, folder):
        return dict(
            data_root='',
            ann_file=str(file),
            data_prefix=dict(img=f'{folder}/'),
            metainfo=dict(classes=classes),
        )

    loader = dict(dataset=dataset(val, val_images))
    return classes, dict(
        train_dataloader=dict(dataset=dataset(args.data, args.images)),
        val_dataloader=loader,
        test_dataloader=loader,
        val_evaluator=dict(ann_file=str(val)),
        test_evaluator=dict(ann_file=str(val)),
    )
