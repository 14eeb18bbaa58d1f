"""Images, folders, patterns and videos as sources."""

import os
import struct
import zlib

import cv2
import numpy as np
import pytest

from banet.data.sources import open_source, SourceError


def test_names_of_pictures_are_unique(tmp_path):
    for name in ('a.png', 'a.jpg', 'sub/a.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), np.zeros((4, 4, 3), np.uint8))
    names = open_source(tmp_path).names
    assert sorted(names) == ['a_jpg', 'a_png', 'sub/a']
    cv2.imwrite(str(tmp_path / 'a_jpg.jpg'), np.zeros((4, 4, 3), np.uint8))
    assert len(set(open_source(tmp_path).names)) == 4


@pytest.mark.parametrize(
    'name,content,message',
    [
        ('nothing', None, 'nothing does not exist'),
        ('folder/', None, 'folder holds no image'),
        ('*.jpg', None, 'matches no image'),
        ('clip.mp4', b'no video at all', 'codec'),
    ],
)
def test_no_source_is_an_error(tmp_path, name, content, message):
    (tmp_path / 'folder').mkdir()
    if content:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        open_source(tmp_path / name)


def test_what_a_folder_holds_besides_is_listed(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((4, 4, 3), np.uint8))
    (tmp_path / 'phone.HEIC').write_bytes(b'x')
    (tmp_path / 'gone.jpg').symlink_to(tmp_path / 'nowhere.jpg')
    (tmp_path / 'notes.txt').write_text('no picture')
    for text in (tmp_path, tmp_path / '*'):
        source = open_source(text)
        assert [name for name, _, _ in source] == ['a']
        assert sorted(source.skipped) == [
            (str(tmp_path / 'gone.jpg'), 'missing image: '),
            (
                str(tmp_path / 'phone.HEIC'),
                '.HEIC is not read: convert it to PNG',
            ),
        ]
    for name in ('a.png', 'gone.jpg'):
        (tmp_path / name).unlink()
    with pytest.raises(SourceError, match='phone.HEIC: .HEIC is not read'):
        open_source(tmp_path)


def test_folder_that_cannot_be_read_is_listed(tmp_path, monkeypatch):
    """No file mode keeps a superuser out, so that the call is made to."""
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((4, 4, 3), np.uint8))
    (tmp_path / 'sub').mkdir()
    scandir = os.scandir

    def closed(path):
        if str(path).endswith('sub'):
            raise PermissionError(13, 'Permission denied', str(path))
        return scandir(path)

    monkeypatch.setattr(os, 'scandir', closed)
    skipped = open_source(tmp_path).skipped
    assert skipped == [(str(tmp_path / 'sub'), 'Permission denied')]


def test_image_that_opencv_refuses_is_skipped(tmp_path):
    """A PNG of more pixels than it takes, which PIL may call large only."""
    side = 32800

    def chunk(kind, content):
        crc = zlib.crc32(kind + content)
        return (
            struct.pack('>I', len(content))
            + kind
            + content
            + crc.to_bytes(4, 'big')
        )

    header = struct.pack('>IIBBBBB', side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((1 + side // 8) * side), 1)
    (tmp_path / 'a.png').write_bytes(
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', header)
        + chunk(b'IDAT', rows)
        + chunk(b'IEND', b'')
    )
    cv2.imwrite(str(tmp_path / 'b.png'), np.zeros((4, 4, 3), np.uint8))
    source = open_source(tmp_path)
    assert [name for name, _, _ in source] == ['b']
    ((file, reason),) = source.skipped
    assert file.endswith('a.png') and reason
