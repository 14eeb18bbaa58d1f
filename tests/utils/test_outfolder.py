"""A folder for results never costs what lies there."""

import pytest

from banet.utils.outfolder import OutFolder, OutputError


def test_folder_with_files_is_refused(tmp_path):
    (tmp_path / 'mine.txt').write_text('mine')
    with pytest.raises(OutputError, match='--force'):
        OutFolder(tmp_path)
    OutFolder(tmp_path, force=True)
    assert (tmp_path / 'mine.txt').read_text() == 'mine'
