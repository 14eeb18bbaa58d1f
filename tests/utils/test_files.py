"""Files are written whole."""

import pytest

from banet.utils.files import put_whole


@pytest.mark.parametrize('name', ['a' * 255, '\u4e2d' * 85])
def test_longest_name_can_be_written(name, tmp_path):
    put_whole(b'whole', tmp_path / name)
    (path,) = tmp_path.iterdir()
    assert (path.name, path.read_bytes()) == (name, b'whole')
