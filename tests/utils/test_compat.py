"""What `import banet` says here and in environments that do not fit."""

import os
import re
import subprocess
import sys

import pytest
from mmengine.utils import digit_version
from runs import ROOT

from banet.utils import compat


def python(code, cwd, **environment):
    return subprocess.run(
        [sys.executable, '-c', code],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_import_prints_and_warns_nothing(tmp_path):
    result = python('import banet', tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, '', '')


def hide(*names):
    """Code that makes the import system find none of ``names``."""
    return (
        'import sys\n'
        'class Hide:\n'
        '    def find_spec(self, name, path=None, target=None):\n'
        f"        if name.split('.')[0] in {names!r}:\n"
        '            raise ModuleNotFoundError(name, name=name)\n'
        'sys.meta_path.insert(0, Hide())\n'
    )


@pytest.mark.slow
def test_import_needs_neither_mmdet_nor_mmseg(tmp_path):
    result = python(hide('mmdet', 'mmseg') + 'import banet', tmp_path)
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_classification_needs_no_pycocotools(tmp_path):
    code = hide('pycocotools') + 'import banet.apis.predictions'
    result = python(code, tmp_path)
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
@pytest.mark.parametrize('name', [r[0] for r in compat.REQUIREMENTS])
def test_missing_package_is_named_with_its_pip_line(name, tmp_path):
    """In a real process whose import system cannot find the package."""
    result = python(hide(name) + 'import banet', tmp_path)
    assert result.returncode == 1
    message = result.stderr[result.stderr.index('ImportError: ') :]
    assert f'{name} is not installed. banet needs {name} >= ' in message
    assert f'pip install {compat.pip_line(name)}' in message


@pytest.mark.slow
@pytest.mark.parametrize(
    'source,message',
    [
        ("__version__ = '1.7.2'", 'mmcv 1.7.2 does not fit'),
        ("__version__ = '2.4.0'", 'mmcv 2.4.0 does not fit'),
        (
            'import pkg_that_setuptools_dropped',
            'mmcv is installed but cannot be imported: ModuleNotFound',
        ),
        (
            "raise RuntimeError('operator torchvision::nms does not exist')",
            'mmcv is installed but cannot be imported: RuntimeError',
        ),
    ],
)
def test_incompatible_package_is_named_with_its_pip_line(
    source, message, tmp_path
):
    """In a real process that finds another mmcv first."""
    (tmp_path / 'mmcv.py').write_text(source)
    result = python('import banet', tmp_path, PYTHONPATH=str(tmp_path))
    assert result.returncode == 1
    assert message in result.stderr
    assert 'banet needs mmcv >= 2.0, < 2.4' in result.stderr
    assert f'pip install {compat.pip_line("mmcv")}' in result.stderr


def test_pip_lines_of_the_check_are_the_tested_versions():
    pinned = {
        match[1]: match[2]
        for name in ('build', 'mminstall')
        for match in re.finditer(
            r'^([a-z-]+)==(.*)$',
            (ROOT / f'requirements/{name}.txt').read_text(),
            re.M,
        )
    }
    for line in compat.PIP.values():
        package, version = re.search(r'(\S+)==(\S+)', line).groups()
        assert pinned[package] == version


def test_tested_versions_fit_the_check():
    for name, minimum, limit in compat.REQUIREMENTS:
        tested = digit_version(re.search(r'==(\S+)', compat.PIP[name])[1])
        assert digit_version(minimum) <= tested < digit_version(limit)


def test_empty_folder_of_a_packages_name_is_not_the_package(
    tmp_path, monkeypatch
):
    """Such as that of a checkout, which Python imports as a namespace."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / 'mmnothing').mkdir()
    assert compat._version('mmnothing') is None
    assert sys.modules.pop('mmnothing').__path__


def seem_installed(folder, name, version):
    info = folder / f'{name}-{version}.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text(
        f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n'
    )


@pytest.mark.slow
@pytest.mark.parametrize('version,fits', [('5.24.0', False), ('4.20', True)])
def test_transformers_that_mmpretrain_cannot_take_are_named(
    version, fits, tmp_path
):
    seem_installed(tmp_path, 'transformers', version)
    result = python('import banet', tmp_path, PYTHONPATH=str(tmp_path))
    assert (result.returncode == 0) == fits, result.stderr
    named = f'mmpretrain cannot be imported beside transformers {version}'
    assert (named in result.stderr) != fits
    assert ('pip install "transformers<5"' in result.stderr) != fits


@pytest.mark.slow
def test_line_is_of_the_original_releases_where_one_is_there(tmp_path):
    seem_installed(tmp_path, 'mmengine', '0.10.7')
    code = hide('mmpretrain') + 'import banet'
    result = python(code, tmp_path, PYTHONPATH=str(tmp_path))
    assert 'pip install mmpretrain==1.2.0' in result.stderr


def test_another_project_of_that_name_is_named(tmp_path):
    seem_installed(tmp_path, 'banet', '0.6.5')
    result = python('import banet', tmp_path, PYTHONPATH=str(tmp_path))
    assert result.returncode == 1
    assert "ImportError: the distribution 'banet' is anoth" in result.stderr
    assert 'pip uninstall -y banet banet-openmmlab' in result.stderr
