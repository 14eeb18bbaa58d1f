"""Installed as the README says, into an environment that has a stack."""

import os
import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest
from runs import ROOT

LINE = 'pip install --no-deps .'
NEEDED = (
    'projects',
    'configs',
    'tools',
    'requirements',
    'setup.py',
    'pyproject.toml',
    'README.md',
    'LICENSE',
    'model-index.yml',
)


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """What a clone has of the package, without traces of earlier builds."""
    folder = tmp_path_factory.mktemp('some folder') / 'banet'
    folder.mkdir()
    skip = shutil.ignore_patterns('__pycache__', '*.egg-info', '.mim')
    for name in NEEDED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=skip)
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope='module')
def stack(tmp_path_factory):
    """An environment with this one's packages, all but banet."""
    folder = tmp_path_factory.mktemp('stack')
    for path in Path(sysconfig.get_path('purelib')).iterdir():
        if 'banet' not in path.name and path.suffix != '.pth':
            (folder / path.name).symlink_to(path)
    place = tmp_path_factory.mktemp('environment')
    venv.create(place, symlinks=True)
    (site,) = place.glob('lib/python*/site-packages')
    (site / 'stack.pth').write_text(str(folder))
    return place / 'bin/python'


def ask(*words, cwd):
    clean = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    result = subprocess.run(
        words, cwd=cwd, env=clean, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


@pytest.mark.slow
def test_the_readmes_line_changes_no_other_package(source, stack, tmp_path):
    for page in ('README.md', 'README_zh-CN.md', 'docs/getting_started.md'):
        assert f'```bash\n{LINE}\n```' in (ROOT / page).read_text()
    # Without network: what pip would fetch to build with is here.
    offline = ['--no-index', '--no-build-isolation']
    before = ask(stack, '-m', 'pip', 'freeze', '--all', cwd=tmp_path)
    _, *words = LINE.split()
    ask(stack, '-m', 'pip', *words, *offline, cwd=source)
    after = ask(stack, '-m', 'pip', 'freeze', '--all', cwd=tmp_path)
    added = set(after.splitlines()) - set(before.splitlines())
    assert [line.split()[0] for line in added] == ['banet-openmmlab']
    assert set(before.splitlines()) <= set(after.splitlines())

    code = (
        'import banet, pathlib; home = pathlib.Path(banet.__path__[0]);'
        'banet.features(18); print(home, len(banet.list_models()),'
        "(home / '.mim/configs/detection/README.md').is_file())"
    )
    home, listed, pages = ask(stack, '-c', code, cwd=tmp_path).split()[-3:]
    assert stack.parents[1] in Path(home).parents
    assert (int(listed) > 60, pages) == (True, 'True')
