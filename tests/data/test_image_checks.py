"""Images that real people have, and what training makes of them."""

from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image
from small_data import DET, found, picture, PIXELS, SEG, SIZE, truncate

from banet.data.images import check_file


def rotated(path):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture().save(path, 'jpeg', exif=exif)


def deep(path):
    cv2.imwrite(str(path), PIXELS[..., 0].astype(np.uint16) * 256)


def filmed(path):
    """As phones write it: a video, of any bytes, behind the image."""
    picture().save(path, 'jpeg')
    with open(path, 'ab') as file:
        file.write(b'ftyp \xff\xda mdat')


def padded(path):
    """With bytes that fill up in front of a marker, as the standard allows."""
    picture().save(path, 'jpeg')
    content = path.read_bytes()
    path.write_bytes(content[:2] + b'\xff\xff\xff' + content[2:])


# What is done to an image: errors in detection, errors in segmentation, notes
IMAGES = {
    'removed': (lambda p: p.unlink(), 'missing image', None),
    'empty': (lambda p: p.write_bytes(b''), 'empty image file', None),
    'cut': (truncate, 'damaged image', None),
    'a web page': (lambda p: p.write_text('<html>'), 'damaged image', None),
    'CMYK': (
        lambda p: picture('CMYK').save(p, 'jpeg'),
        None,
        'converted image',
    ),
    '16 bits': (deep, None, 'converted image'),
    'gray': (lambda p: picture('L').save(p), None, 'converted image'),
    'RGBA': (lambda p: picture('RGBA').save(p), None, 'converted image'),
    'palette': (lambda p: picture('P').save(p), None, 'converted image'),
    'filmed': (filmed, None, None),
    'padded': (padded, None, None),
    'rotated': (rotated, 'of another size', 'rotated image'),
    'resized': (
        lambda p: picture().resize((30, 20)).save(p),
        'of another size',
        None,
    ),
}


@pytest.mark.parametrize('config', [DET, SEG])
@pytest.mark.parametrize('name', IMAGES)
def test_image_is_seen_for_what_it_is(name, config, data):
    spoil, error, note = IMAGES[name]
    spoil(data.image)
    report = data.check(config)
    if error == 'of another size':
        error = ('image ' if config == DET else 'label ') + error
    if error == 'missing image' and config == SEG:
        error = 'no images'  # mmseg lists the folder
    assert found(report, 'error', 'lost') == ({error} if error else set())
    assert found(report, 'note') == ({note} if note else set())
    assert report.failed == bool(error)


@pytest.mark.parametrize('name', IMAGES)
def test_training_meets_what_the_check_says(name, data):
    """Upstream's own pipeline raises for errors of the file, only there."""
    from mmcv.transforms import LoadImageFromFile

    spoil, error, _ = IMAGES[name]
    spoil(data.image)
    load, info = LoadImageFromFile(), dict(img_path=str(data.image))
    if error and error != 'of another size':
        with pytest.raises((AssertionError, OSError, cv2.error)):
            load(info)
        return
    image = load(info)['img']
    assert image.dtype == np.uint8
    assert image.shape[2] == 3
    assert (image.shape[:2] == SIZE) == (error is None)


def test_end_of_a_thumbnail_is_not_the_images(tmp_path):
    path, thumbnail = tmp_path / 'a.jpg', BytesIO()
    picture().save(thumbnail, 'jpeg')
    comment = b'Exif\0\0' + thumbnail.getvalue()
    picture().save(path, 'jpeg', exif=comment)
    assert path.read_bytes().count(b'\xff\xd9') == 2
    assert check_file(str(path)) == []
    path.write_bytes(path.read_bytes()[:-300])
    (problem,) = check_file(str(path))
    assert problem.text == 'the file is cut off: its end is missing'
