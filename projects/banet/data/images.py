"""Image files: is each there, whole, and read as what it is?"""

import os
from collections.abc import Callable
from typing import Optional

import numpy as np
from PIL import Image

from .report import ERROR, NOTE, Problem

# Suffixes of image files.
IMAGES = (
    '.jpg',
    '.jpeg',
    '.png',
    '.bmp',
    '.webp',
    '.tif',
    '.tiff',
    '.ppm',
    '.pgm',
)
# What upstream's readers make three channels of 8 bits from.
CONVERTED = {
    '1': 'black and white, read as three equal channels',
    'L': 'grayscale, read as three equal channels',
    'LA': 'grayscale with alpha, which is dropped',
    'RGBA': 'its alpha channel is dropped',
    'P': 'palette, read as its colours',
    'CMYK': 'CMYK, read as RGB',
    'I;16': '16 bits, of which 8 are kept',
    'I;16B': '16 bits, of which 8 are kept',
    'I': '32 bits, of which 8 are kept',
}
ORIENTATION = 0x0112  # of EXIF


def check_file(path: str) -> list[Problem]:
    """Problems of an image file by itself."""
    if not os.path.isfile(path):
        return [Problem(ERROR, 'missing image', path)]
    if os.path.getsize(path) == 0:
        return [Problem(ERROR, 'empty image file', path, '0 bytes')]
    found = []
    try:
        with Image.open(path) as image:
            mode = image.mode
            rotation = image.getexif().get(ORIENTATION, 1)
            image.load()
    except Image.DecompressionBombError as error:  # large, but an image
        return [Problem(NOTE, 'very large image', path, str(error))]
    except Exception as error:  # whatever damaged files raise
        return [Problem(ERROR, 'damaged image', path, str(error))]
    if mode in CONVERTED:
        text = CONVERTED[mode]
        found.append(Problem(NOTE, 'converted image', path, text))
    if rotation != 1:
        text = f'EXIF orientation {rotation} is applied before training'
        found.append(Problem(NOTE, 'rotated image', path, text))
    return found


def check_image(
    path: str, load: Optional[Callable], size: Optional[tuple] = None
) -> tuple[list[Problem], Optional[tuple[int, ...]]]:
    """Problems of an image, and of what the training would read from it.

    Args:
        path (str): The file.
        load (Callable | None): The pipeline's own reader.
        size (tuple | None): Height and width that the annotations are for.

    Returns:
        tuple: List of problems; height and width as read, None if unread.
    """
    found = check_file(path)
    if any(p.severity == ERROR for p in found) or load is None:
        return found, None
    try:
        image = load(dict(img_path=path))['img']
    except Exception as error:  # readers raise AssertionError, cv2.error, ...
        text = f'{type(error).__name__}: {error}'
        found.append(
            Problem(ERROR, 'image the training cannot read', path, text)
        )
        return found, None
    read = np.shape(image)[:2]
    if size and tuple(size) != read:
        text = (
            f'read with height and width {read}, annotated for {tuple(size)}'
        )
        found.append(Problem(ERROR, 'image of another size', path, text))
    return found, read
