"""A contact sheet: samples as the network gets them, with their labels."""

import warnings
from pathlib import Path

import mmcv
import numpy as np
from mmengine.registry import VISUALIZERS
from PIL import Image, ImageDraw
from PIL.Image import Resampling

from .report import ERROR, NOTE, Problem

COLUMNS, ROWS = 4, 3
TILE, CAPTION = 240, 16  # pixels
LETTERS = 38  # that fit under a tile
LIBRARY_VISUALIZERS = dict(
    mmpretrain='UniversalVisualizer',
    mmdet='DetLocalVisualizer',
    mmseg='SegLocalVisualizer',
)


def draw_sheet(
    dataset, visualizer: dict, split: str, path: Path
) -> list[Problem]:
    """Draw samples of ``dataset``, spread over it, into one picture.

    Args:
        dataset (Dataset): Of mmpretrain, mmdet or mmseg, with its pipeline:
            boxes, masks and classes are drawn on what it gives.
        visualizer (dict): Config of the library's visualizer.
        split (str): In other splits than ``'train'``, labels usually belong
            to the image before it was resized.
        path (Path): The PNG to write.

    Returns:
        list[Problem]: Of the samples that the pipeline cannot make.
    """
    count = min(COLUMNS * ROWS, len(dataset))
    indices = np.linspace(0, len(dataset) - 1, count).round().astype(int)
    # Of a name of its own, and without backends: it only draws.
    drawer = VISUALIZERS.build(
        {**visualizer, 'vis_backends': None, 'name': str(path)}
    )
    drawer.dataset_meta = dataset.metainfo
    rows = -(-count // COLUMNS)
    sheet = Image.new('RGB', (COLUMNS * TILE, rows * (TILE + CAPTION)))
    pen, problems = ImageDraw.Draw(sheet), []
    for tile, index in enumerate(indices):
        row, column = divmod(tile, COLUMNS)
        x, y = column * TILE, row * (TILE + CAPTION)
        try:
            item = dataset[int(index)]
        except Exception as error:  # pipelines raise anything
            kind, where = 'sample the pipeline cannot make', f'sample {index}'
            text = f'{type(error).__name__}: {error}'
            problems.append(Problem(ERROR, kind, where, text))
            pen.text((x + 2, y + TILE), f'{where}: none')
            continue
        try:
            picture, caption = _draw(item, drawer, split)
        except Exception as error:  # labels of a kind that it does not know
            kind, where = 'sample that cannot be drawn', f'sample {index}'
            text = f'{type(error).__name__}: {error}'
            problems.append(Problem(NOTE, kind, where, text))
            continue
        scale = TILE / max(picture.size)
        size = [max(1, round(side * scale)) for side in picture.size]
        # Small images get large pixels instead of blur.
        method = Resampling.NEAREST if scale > 2 else Resampling.BILINEAR
        sheet.paste(picture.resize(size, method), (x, y))
        pen.text((x + 2, y + TILE), caption[:LETTERS])
    sheet.save(path)
    return problems


def _draw(item, visualizer, split):
    """Picture and caption of one sample."""
    image = item['inputs'].permute(1, 2, 0).numpy()[..., ::-1]  # BGR to RGB
    sample = item['data_samples']
    name = Path(sample.img_path).name
    if 'gt_label' in sample:
        classes = visualizer.dataset_meta.get('classes') or []
        labels = [
            str(classes[i]) if i < len(classes) else str(i)
            for i in sample.gt_label.tolist()
        ]
        picture = Image.fromarray(np.ascontiguousarray(image))
        return picture, f'{", ".join(labels)}: {name}'
    if _size_of_labels(sample, image, split) != image.shape[:2]:
        image = mmcv.imread(sample.img_path, channel_order='rgb')
    instances = sample.get('gt_instances')
    if instances is not None:
        if hasattr(instances.get('bboxes'), 'tensor'):
            instances.bboxes = instances.bboxes.tensor
        if 'masks' in instances:
            instances.masks = instances.masks.to_ndarray().astype(bool)
    with warnings.catch_warnings():  # of objects at the border
        warnings.simplefilter('ignore', UserWarning)
        visualizer.add_datasample(
            name, np.ascontiguousarray(image), sample, draw_pred=False
        )
    return Image.fromarray(visualizer.get_image()), name


def _size_of_labels(sample, image, split):
    """Height and width of the image that the labels were made for."""
    if 'gt_sem_seg' in sample:
        return tuple(sample.gt_sem_seg.data.shape[-2:])
    masks = sample.get('gt_instances', {}).get('masks')
    if masks is not None:
        return masks.height, masks.width
    return image.shape[:2] if split == 'train' else sample.ori_shape[:2]
