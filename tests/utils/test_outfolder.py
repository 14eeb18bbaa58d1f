"""Results never cost what lies there, and no work is done in vain."""

import pytest
from runs import error_of, IMAGES, TASKS

from banet.utils.outfolder import OutFolder, OutputError


def test_folder_with_files_is_refused(tmp_path):
    (tmp_path / 'mine.txt').write_text('mine')
    with pytest.raises(OutputError, match='--force'):
        OutFolder(tmp_path)
    OutFolder(tmp_path, force=True)
    assert (tmp_path / 'mine.txt').read_text() == 'mine'


@pytest.mark.parametrize('link', [False, True])
def test_inputs_are_not_replaced(link, tmp_path):
    """A second call on the pictures of the first, into the same folder."""
    path = tmp_path / 'pictures' / 'a.png'
    path.parent.mkdir()
    path.write_text('mine')
    out = tmp_path
    if link:
        out = tmp_path / 'link'
        out.symlink_to(tmp_path)
    folder = OutFolder(out, force=True, inputs=[path])
    with pytest.raises(OutputError, match='a.png is an input'):
        folder.json('pictures/a.png', {})
    assert path.read_text() == 'mine'
    assert folder.json('pictures/b.png', {}).exists()


CONFIG = TASKS['cls'][0]


@pytest.mark.parametrize(
    'name,args',
    [
        ('predict.py', [CONFIG, 'no.pth', IMAGES[0], '--out', '{folder}']),
        ('explain.py', ['bridge', CONFIG, 'no.pth', '--out', '{folder}']),
        ('export.py', [CONFIG, 'no.pth', '{folder}/a.onnx']),
        ('deploy.py', [CONFIG, 'no.pth', '{folder}/a.pth']),
        ('convert_checkpoint.py', ['no.pth', '{folder}/a.pth']),
        ('benchmark.py', ['--out', '{folder}/a.json']),
    ],
)
def test_target_is_refused_before_anything_is_read(
    name, args, tmp_path, monkeypatch
):
    """The checkpoint, which is not there, is not reached."""
    for suffix in ('.json', '.onnx', '.pth'):
        (tmp_path / f'a{suffix}').write_text('mine')
    args = [str(arg).format(folder=tmp_path) for arg in args]
    assert '--force' in error_of(name, args, monkeypatch)
