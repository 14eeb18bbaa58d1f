"""Sizes of images, and where a box lies in one."""

from .report import LOST, NOTE, Problem

ROUNDING = 1  # pixels beyond the border that are usual


def check_size(size: tuple, least: float, where: str) -> list[Problem]:
    """The problem of an image that mmdet's data sets leave out, if any.

    Args:
        size (tuple): Its width and height.
        least (float): What ``filter_cfg`` has as ``min_size``.
        where (str): The image.
    """
    if not min(size) < least:  # NaN: unknown
        return []
    width, height = size
    text = (
        f'{width:g} x {height:g}: left out of training by '
        f'filter_cfg=dict(min_size={least})'
    )
    return [Problem(LOST, 'small image', where, text)]


def is_inside(box: tuple, size: tuple) -> bool:
    """Whether x1, y1, x2, y2 are in an image of that width and height.

    In one of unknown size, NaN, only what is below zero is outside.
    """
    x1, y1, x2, y2 = box
    width, height = size
    return not (
        min(x1, y1) < -ROUNDING
        or x2 > width + ROUNDING
        or y2 > height + ROUNDING
    )


def check_place(
    box: tuple, size: tuple, text: str, where: str
) -> list[Problem]:
    """Problems of a box that leaves its image, partly or as a whole.

    Args:
        box (tuple): x1, y1, x2, y2.
        size (tuple): Width and height of the image.
        text (str): The box and the size, as the file has them.
        where (str): The annotation.
    """
    x1, y1, x2, y2 = box
    width, height = size
    if x1 >= width or y1 >= height or x2 <= 0 or y2 <= 0:
        return [Problem(LOST, 'box outside the image', where, text)]
    if not is_inside(box, size):
        text = f'{text}; transforms clip it'
        return [Problem(NOTE, 'box beyond the border', where, text)]
    return []
