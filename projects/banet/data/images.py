"""Image files: is each there, whole, and read as what it is?"""

import os
import warnings
from collections.abc import Callable
from typing import Optional

import numpy as np
from mmcv import imread
from PIL import Image

from .report import ERROR, NOTE, Problem

# Suffixes of image files; of others, which a user may take for images.
PICTURES = '.jfif', '.gif', '.heic', '.heif', '.avif', '.jxl', '.jp2'
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
    """Problems of an image file by itself, without decoding it."""
    if not os.path.isfile(path):
        return [Problem(ERROR, 'missing image', path)]
    if os.path.getsize(path) == 0:
        return [Problem(ERROR, 'empty image file', path, '0 bytes')]
    found = []
    try:
        with warnings.catch_warnings():
            # Of large images; those that are too large raise.
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)
            with Image.open(path) as image:
                mode, form = image.mode, image.format
                rotation = image.getexif().get(ORIENTATION, 1)
    except Image.DecompressionBombError as error:  # large, but an image
        return [Problem(NOTE, 'very large image', path, str(error))]
    except Exception as error:  # whatever damaged files raise
        return [Problem(ERROR, 'damaged image', path, str(error))]
    if form == 'JPEG' and not _has_end(path):
        text = 'the file is cut off: its end is missing'
        return [Problem(ERROR, 'damaged image', path, text)]
    if mode in CONVERTED:
        text = CONVERTED[mode]
        found.append(Problem(NOTE, 'converted image', path, text))
    if rotation != 1:
        text = f'EXIF orientation {rotation} is applied before training'
        found.append(Problem(NOTE, 'rotated image', path, text))
    return found


def _has_end(path):
    """Whether a JPEG has its end marker behind its first scan.

    OpenCV reads one that is cut off as well, and fills it up with grey. A
    thumbnail in front of the scan and a video behind the end, as phones
    write them, have markers of their own.
    """
    with open(path, 'rb') as file:
        content = file.read()
    place = 2  # behind the start marker
    while content[place : place + 1] == b'\xff':
        kind = content[place + 1 : place + 2]
        if kind in (b'\xda', b''):  # the scan, or nothing
            break
        place += 1
        if kind != b'\xff':  # which fills up
            # Segments say how long they are, in front of their content.
            place += 1 + int.from_bytes(content[place + 1 : place + 3], 'big')
    return content.find(b'\xff\xd9', place) >= 0


def check_image(
    path: str, load: Optional[Callable], size: Optional[tuple] = None
) -> tuple[list[Problem], Optional[tuple[int, ...]]]:
    """Problems of an image, and of what the training would read from it.

    It is decoded once, as in the training.

    Args:
        path (str): The file.
        load (Callable | None): The pipeline's own reader.
        size (tuple | None): Height and width that the annotations are for.

    Returns:
        tuple: List of problems; height and width as read, None if unread.
    """
    found = check_file(path)
    if any(p.severity == ERROR for p in found):
        return found, None
    try:
        image = load(dict(img_path=path))['img'] if load else imread(path)
    except Exception as error:  # readers raise AssertionError, cv2.error, ...
        return [*found, _why_unread(path, error)], None
    read = np.shape(image)[:2]
    if size and tuple(size) != read:
        text = (
            f'read with height and width {read}, annotated for {tuple(size)}'
        )
        found.append(Problem(ERROR, 'image of another size', path, text))
    return found, read


def _why_unread(path, error):
    """Is the file damaged, or of a kind that this reader does not know?"""
    try:
        with Image.open(path) as image:
            image.load()
    except Exception as own:  # whatever damaged files raise
        return Problem(ERROR, 'damaged image', path, str(own))
    text = f'{type(error).__name__}: {error}'
    return Problem(ERROR, 'image the training cannot read', path, text)
