"""Detection: COCO json files and folders of images."""

import json
from dataclasses import dataclass
from pathlib import Path

from ..data.coco import check_coco, hashable, read_coco
from ..data.coco_masks import NONE
from ..data.report import LOST
from ..utils.files import check_target, put_whole
from ..utils.text import shorten
from .checks import (
    check_folder,
    check_same,
    check_val_option,
    NewConfigError,
    refuse,
)

# Besides errors; what else check_data calls lost costs objects, not classes.
REFUSED = (
    'categories out of order',
    'annotation of no category',
    'only crowd objects',
)
FROM_ZERO = 'annotation id below 1'


@dataclass(frozen=True)
class Annotations:
    """What a COCO file holds.

    Attributes:
        classes (list[str]): Names, in the order of their labels.
        empty (list[str]): Those that own no object.
        from_zero (bool): Whether an id must be changed to measure on it.
    """

    classes: list[str]
    empty: list[str]
    from_zero: bool


def read_annotations(
    path,
    images,
    options: tuple[str, str],
    masks: bool,
    evaluates: bool,
) -> Annotations:
    """Read and check annotations.

    Args:
        path (str | Path): Annotations in COCO's form.
        images (str | Path): Folder with their images.
        options (tuple[str]): The command line's names for both.
        masks (bool): Whether the model learns from masks, too.
        evaluates (bool): Whether results are measured on it.

    Raises:
        NewConfigError: What is wrong with the files, with the remedy.
    """
    option, images_option = options
    folder = check_folder(images, images_option)
    coco, problems = read_coco(str(path), test=False)
    refuse(problems, option)
    assert coco is not None  # or a problem has been refused
    kinds = {a.get('segmentation', NONE).kind for a in coco['annotations']}
    if masks and kinds == {NONE.kind}:
        raise NewConfigError(
            f'{option} {path} has no segmentation for any object: take a '
            'model without masks, such as faster-rcnn.'
        )
    problems = check_coco(coco, str(path), None, masks, evaluates)
    from_zero = [p for p in problems if p.kind == FROM_ZERO]
    rest = [p for p in problems if p not in from_zero]
    refuse(rest, option, REFUSED)
    lost = {p.where: p for p in rest if p.severity == LOST}
    if sum(' annotation ' in where for where in lost) == len(
        coco['annotations']
    ):
        refuse(lost.values(), f'{option}, whose objects all are lost:')
    absent = [
        image['file_name']
        for image in coco['images']
        if not (folder / image['file_name']).is_file()
    ]
    if absent:
        raise NewConfigError(
            f'{len(absent)} of {len(coco["images"])} images of {path} are '
            f'not in {images_option} {folder}: {shorten(absent)}.'
        )
    owners = {hashable(a, 'category_id') for a in coco['annotations']}
    return Annotations(
        [category['name'] for category in coco['categories']],
        [c['name'] for c in coco['categories'] if c['id'] not in owners],
        evaluates and bool(from_zero),
    )


def renumbered(path: Path, out: Path, force: bool) -> Path:
    """A copy of annotations whose ids count from 1, beside the config.

    Roboflow and others count from 0, which pycocotools takes for "no match".

    Raises:
        CheckpointError: The copy exists.
    """
    content = json.loads(path.read_text())
    for number, annotation in enumerate(content['annotations'], 1):
        annotation['id'] = number
    copy = out.with_name(f'{out.stem}-val.json')
    if copy.resolve() == path:
        raise NewConfigError(
            f'--val-data {path} has annotation ids below 1, and the copy with '
            'ids from 1 would take its place: give --out another name.'
        )
    check_target(copy, force)
    put_whole(json.dumps(content).encode(), copy)
    print(
        f'{copy}: {path.name} with annotation ids from 1, for the evaluation '
        'takes id 0 for "no match"'
    )
    return copy


def data_of(args, base) -> tuple[list[str], dict]:
    """Classes, and what the config says of the data."""
    masks = 'mask_head' in base.model.get('roi_head', {})
    check_val_option(args, 'val_images')
    val, val_images = args.val_data, args.val_images
    options = '--data', '--images'
    train = read_annotations(args.data, args.images, options, masks, not val)
    last = train
    if val:
        options = '--val-data', '--val-images' if val_images else '--images'
        val_images = val_images or args.images
        last = read_annotations(val, val_images, options, masks, True)
        check_same(train.classes, last.classes, 'the categories')
    else:
        val, val_images = args.data, args.images
    empty = [name for name in train.empty if name in last.empty]
    classes = _used(train.classes, empty, args.keep_empty_classes)
    val, data = Path(val).resolve(), Path(args.data).resolve()
    if last.from_zero:
        val = renumbered(val, Path(args.out).resolve(), args.force)

    def dataset(file, folder):
        return dict(
            data_root='',
            ann_file=str(file),
            data_prefix=dict(img=f'{Path(folder).resolve()}/'),
            metainfo=dict(classes=classes),
        )

    loader = dict(dataset=dataset(val, val_images))
    return classes, dict(
        train_dataloader=dict(dataset=dataset(data, args.images)),
        val_dataloader=loader,
        test_dataloader=loader,
        val_evaluator=dict(ann_file=str(val)),
        test_evaluator=dict(ann_file=str(val)),
    )


def _used(classes, empty, keep):
    """Without those that own nothing, such as Roboflow's root category."""
    if keep or not empty:
        return classes
    used = [name for name in classes if name not in empty]
    print(
        f'left out, for no object is of them: {shorten(empty)} '
        '(--keep-empty-classes keeps them)'
    )
    return used
