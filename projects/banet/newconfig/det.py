"""Detection: COCO json files and folders of images."""

from ..data.coco import check_boxes, check_categories, read_coco
from ..utils.text import shorten
from .checks import check_folder, check_same, NewConfigError, refuse

# Of what check_data finds; the others cost objects, not classes.
REFUSED = (
    'categories with one id',
    'categories with one name',
    'categories out of order',
    'annotation of no category',
    'no annotations at all',
)


def classes_in(path, images, option: str, masks: bool) -> list[str]:
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
    coco, problems = read_coco(str(path), test=False)
    refuse(problems, option)
    assert coco is not None  # or a problem has been refused
    problems = check_categories(coco, str(path))
    problems += check_boxes(coco, str(path))
    refuse(problems, option, REFUSED)
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


def data_of(args, base) -> tuple[list[str], dict]:
    """Classes, and what the config says of the data."""
    masks = 'mask_head' in base.model.get('roi_head', {})
    val, val_images = args.val_data, args.val_images
    classes = classes_in(args.data, args.images, '--data', masks)
    if val:
        val_images = val_images or args.images
        check_same(
            classes,
            classes_in(val, val_images, '--val-data', masks),
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
