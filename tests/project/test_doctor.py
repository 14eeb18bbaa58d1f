"""python -m banet.doctor, in environments that have each known fault.

A real process sees folders of ours in the place of its site-packages: small
modules with the metadata of the packages that they stand for.
"""

import os
import subprocess
import sys

import pytest
from runs import ROOT

FORK = {
    'torch': ('torch', '2.12.1'),
    'torchvision': ('torchvision', '0.27.1'),
    'numpy': ('numpy', '2.2.6'),
    'onedl-mmengine': ('mmengine', '0.10.12'),
    'onedl-mmcv': ('mmcv', '2.3.6'),
    'onedl-mmpretrain': ('mmpretrain', '1.3.6'),
    'onedl-mmdetection': ('mmdet', '3.5.1'),
    'onedl-mmsegmentation': ('mmseg', '1.4.2'),
    'setuptools': ('pkg_resources', '80.0'),
}
ORIGINAL = {
    'torch': ('torch', '2.1.2'),
    'torchvision': ('torchvision', '0.16.2'),
    'numpy': ('numpy', '1.26.4'),
    'mmengine': ('mmengine', '0.10.7'),
    'mmcv': ('mmcv', '2.1.0'),
    'mmpretrain': ('mmpretrain', '1.2.0'),
    'mmdet': ('mmdet', '3.3.0'),
    'mmsegmentation': ('mmseg', '1.2.2'),
    'setuptools': ('pkg_resources', '80.0'),
    'ftfy': ('ftfy', '6.0'),
    'regex': ('regex', '2024.1'),
}


def install(site, packages, code=None):
    """Modules of these names, versions and ``code`` (by module)."""
    for name, (module, version) in packages.items():
        folder = site / module
        folder.mkdir(exist_ok=True)
        text = f'__version__ = {version!r}\n' + (code or {}).get(module, '')
        (folder / '__init__.py').write_text(text)
        info = site / f'{name.replace("-", "_")}-{version}.dist-info'
        info.mkdir()
        (info / 'METADATA').write_text(
            f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n'
        )
    if (site / 'mmcv').exists():
        (site / 'mmcv' / '_ext.py').touch()


def ask(site, *module):
    return subprocess.run(
        [sys.executable, '-S', *(module or ('-m', 'banet.doctor'))],
        env={**os.environ, 'PYTHONPATH': f'{site}:{ROOT / "projects"}'},
        cwd=site,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize('packages', [FORK, ORIGINAL])
def test_a_stack_that_fits_is_called_so(packages, tmp_path):
    install(tmp_path, packages)
    result = ask(tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.splitlines()[-1] == 'all fits'
    assert 'mmcv ops    compiled' in result.stdout


def test_doctor_runs_however_it_is_called(tmp_path):
    install(tmp_path, without(FORK, 'torch'))
    result = ask(tmp_path, '-mbanet.doctor')
    assert 'torch is not installed.' in result.stdout, result.stderr


def without(packages, *names):
    return {k: v for k, v in packages.items() if k not in names}


NMS = "raise RuntimeError('operator torchvision::nms does not exist')"
TRANSFORMERS = {
    'transformers': ('transformers', '5.24.0'),
    'pycocotools': ('pycocotools', '2.0.11'),
}
FAULTS = {
    'transformers too new': (
        {**FORK, **TRANSFORMERS},
        {},
        'mmpretrain cannot be imported beside transformers 5.24.0',
        'pip install "transformers<5"',
    ),
    'no torch': (
        without(FORK, 'torch'),
        {},
        'torch is not installed.',
        'pip install torch==2.12.1 torchvision==0.27.1',
    ),
    'no mmcv': (
        without(FORK, 'onedl-mmcv'),
        {},
        'mmcv is not installed.',
        'pip install --no-build-isolation onedl-mmcv==2.3.6',
    ),
    'no mmpretrain beside the original releases': (
        without(ORIGINAL, 'mmpretrain'),
        {},
        'mmpretrain is not installed.',
        'pip install mmpretrain==1.2.0',
    ),
    'mmengine too old': (
        {**FORK, 'onedl-mmengine': ('mmengine', '0.7.4')},
        {},
        'mmengine 0.7.4 does not fit: >= 0.10, < 1.',
        'pip install onedl-mmengine==0.10.12',
    ),
    'two mmcv': (
        {**FORK, 'mmcv': ('mmcv', '2.1.0')},
        {},
        'mmcv and onedl-mmcv both provide mmcv',
        'pip uninstall -y mmcv onedl-mmcv && pip install '
        '--no-build-isolation onedl-mmcv==2.3.6',
    ),
    'mmcv of the fork under the original': (
        {**without(ORIGINAL, 'mmcv'), 'onedl-mmcv': ('mmcv', '2.3.6')},
        {},
        'mmdet 3.3.0 refuses mmcv >= 2.2, and 2.3.6 is installed',
        'pip uninstall -y onedl-mmcv && pip install --no-build-isolation '
        'mmcv==2.1.0',
    ),
    'torchvision of another torch': (
        FORK,
        dict(torchvision=NMS),
        'torchvision is for another torch',
        'pip install torch==2.12.1 torchvision==0.27.1',
    ),
    'torch.load of the original mmengine': (
        {**ORIGINAL, 'torch': ('torch', '2.6.0')},
        {},
        'mmengine 0.10.7 cannot read its own checkpoints with torch 2.6.0',
        'pip install torch==2.1.2 torchvision==0.16.2'
        if sys.version_info < (3, 12)
        else 'pip uninstall -y mmengine && pip install '
        'onedl-mmengine==0.10.12',
    ),
    'mmcv too new for mmdet': (
        {**ORIGINAL, 'mmcv': ('mmcv', '2.2.0')},
        {},
        'mmdet 3.3.0 refuses mmcv >= 2.2, and 2.2.0 is installed',
        'pip uninstall -y mmcv && pip install --no-build-isolation '
        'mmcv==2.1.0',
    ),
    'mmcv too new for mmseg': (
        {**without(ORIGINAL, 'mmdet'), 'mmcv': ('mmcv', '2.2.0')},
        {},
        'mmseg 1.2.2 refuses mmcv >= 2.2, and 2.2.0 is installed',
        'pip uninstall -y mmcv && pip install --no-build-isolation '
        'mmcv==2.1.0',
    ),
    'numpy 2 under the original': (
        {**ORIGINAL, 'numpy': ('numpy', '2.0.0')},
        {},
        'are made for numpy 1, and 2.0.0 is installed',
        'pip install "numpy<2"',
    ),
    'no pkg_resources': (
        without(ORIGINAL, 'setuptools'),
        {},
        'mmengine 0.10.7 needs pkg_resources, which setuptools (none) has not',
        'pip install "setuptools<81"',
    ),
    'no ftfy': (
        without(ORIGINAL, 'ftfy'),
        {},
        'mmseg needs ftfy, which it does not ask for.',
        'pip install ftfy',
    ),
    "PyPI's banet": (
        {**FORK, 'banet': ('burned_areas', '0.6.5')},
        {},
        "the distribution 'banet' is another project",
        'pip uninstall -y banet banet-openmmlab',
    ),
    'something unknown': (
        FORK,
        dict(mmdet="raise ValueError('a new fault')"),
        'mmdet 3.5.1 cannot be imported: ValueError: a new fault',
        'pip uninstall -y onedl-mmdetection && pip install '
        'onedl-mmdetection==3.5.1 --force-reinstall',
    ),
}


@pytest.mark.parametrize('name', FAULTS)
def test_fault_is_named_with_the_line_that_mends_it(name, tmp_path):
    packages, code, text, line = FAULTS[name]
    install(tmp_path, packages, code)
    result = ask(tmp_path)
    assert result.returncode == 1, result.stdout + result.stderr
    lines = [text.strip() for text in result.stdout.splitlines()]
    place = next(i for i, found in enumerate(lines) if text in found)
    assert lines[place].startswith('broken: ')
    assert lines[place + 1] == line


def test_mmcv_without_compiled_ops_is_named(tmp_path):
    install(tmp_path, FORK)
    (tmp_path / 'mmcv' / '_ext.py').unlink()
    result = ask(tmp_path)
    assert result.returncode == 1
    assert 'mmdet and mmseg need them' in result.stdout
    assert 'pip uninstall -y onedl-mmcv && pip install --no-b' in result.stdout


def test_mmcv_lite_suffices_for_classification(tmp_path):
    install(
        tmp_path, without(FORK, 'onedl-mmdetection', 'onedl-mmsegmentation')
    )
    (tmp_path / 'mmcv' / '_ext.py').unlink()
    result = ask(tmp_path)
    assert result.returncode == 0
    assert 'no compiled operations: enough for classifica' in result.stdout
    assert 'mmdet is not installed: no detection.' in result.stdout


@pytest.mark.slow
def test_this_environment_fits():
    result = subprocess.run(
        [sys.executable, '-m', 'banet.doctor'], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout
    assert result.stdout.splitlines()[-1] == 'all fits'
