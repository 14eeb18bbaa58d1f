"""What is there is never lost: targets, full disks, permissions."""

import os

import pytest
import torch
from checkpoint_files import classifier
from runs import python_code, ROOT

from banet import CheckpointError
from banet.checkpoint.convert import convert


def test_existing_target_is_replaced_only_with_force(tmp_path):
    torch.save(classifier(), tmp_path / 'source.pth')
    target = tmp_path / 'target.pth'
    target.write_text('precious')
    with pytest.raises(CheckpointError, match='target.pth exists; --force'):
        convert(tmp_path / 'source.pth', target)
    assert target.read_text() == 'precious'
    convert(tmp_path / 'source.pth', target, force=True)
    assert 'state_dict' in torch.load(target)
    assert {p.name for p in tmp_path.iterdir()} == {'source.pth', 'target.pth'}


@pytest.mark.parametrize('link', [False, True])
def test_source_is_never_the_target(link, tmp_path):
    source = target = tmp_path / 'source.pth'
    torch.save(classifier(), source)
    before = source.read_bytes()
    if link:
        target = tmp_path / 'link.pth'
        target.symlink_to(source)
    with pytest.raises(CheckpointError, match='both source and target'):
        convert(source, target, force=True)
    assert source.read_bytes() == before


def test_missing_folder_is_named_before_the_source_is_read(tmp_path):
    with pytest.raises(CheckpointError, match='folder .*nowhere does not ex'):
        convert(tmp_path / 'source.pth', tmp_path / 'nowhere' / 'out.pth')


@pytest.mark.slow
def test_full_disk_leaves_nothing(tmp_path):
    """A real process whose files cannot grow beyond 100 kB."""
    torch.save(classifier(), tmp_path / 'source.pth')
    (tmp_path / 'old.pth').write_text('precious')
    code = (
        'import resource, runpy, sys\n'
        'import torch, banet\n'
        'resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n'
        'sys.argv = ["convert_checkpoint.py", *sys.argv[1:]]\n'
        f'sys.path.insert(0, {str(ROOT / "tools")!r})\n'
        'runpy.run_module("convert_checkpoint", run_name="__main__")\n'
    )
    for target in ('new.pth', 'old.pth'):
        result = python_code(
            code, 'source.pth', target, '--force', cwd=tmp_path
        )
        assert result.returncode == 1
        assert f'{target} cannot be written: ' in result.stderr
        assert 'Traceback' not in result.stderr
    assert {p.name for p in tmp_path.iterdir()} == {'source.pth', 'old.pth'}
    assert (tmp_path / 'old.pth').read_text() == 'precious'


UNPRIVILEGED = 65534  # nobody


@pytest.mark.slow
@pytest.mark.parametrize('what', ['source', 'target', 'closed folder'])
def test_no_permission_is_named(what, tmp_path):
    """In a real process, which gives up root's rights if it has them."""
    source, folder = tmp_path / 'source.pth', tmp_path / 'folder'
    torch.save(classifier(), source)
    folder.mkdir()
    code = (
        'import os, sys\n'
        'from banet.checkpoint.convert import convert\n'
        f'os.geteuid() or os.seteuid({UNPRIVILEGED})\n'
        'try:\n'
        '    convert(sys.argv[1], sys.argv[2])\n'
        'except ValueError as error:\n'
        '    print(error)\n'
    )
    if os.geteuid() == 0:  # whose folders others do not see into
        for path in [tmp_path, *tmp_path.parents]:
            if 'pytest' not in str(path):
                break
            path.chmod(path.stat().st_mode | 0o055)
    (source if what == 'source' else folder).chmod(
        0o555 if what == 'target' else 0o000
    )
    result = python_code(code, source, folder / 'out.pth')
    folder.chmod(0o755)
    verb = 'read' if what == 'source' else 'written'
    assert f'cannot be {verb}: ' in result.stdout, result.stderr
    assert 'Permission denied' in result.stdout
    assert not list(folder.iterdir())
