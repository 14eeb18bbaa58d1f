"""Does the environment hold what the package needs, in versions that fit?

Two distributions provide the same OpenMMLab modules (the original one and
the maintained ``onedl-*`` fork), so setup.py can require neither. Instead
this check names what is missing or does not fit, and the line that mends it.
"""

import re
import sys
from importlib import import_module
from importlib.metadata import distribution, PackageNotFoundError
from typing import Optional

from .errors import BanetError
from .installed import installed, originals


class MissingPackage(BanetError):
    """An optional package that is not there, with pip's line."""


# module -> pip's arguments for the tested version
PIP = dict(
    torch='torch==2.12.1 torchvision==0.27.1',
    mmengine='onedl-mmengine==0.10.12',
    mmcv='--no-build-isolation onedl-mmcv==2.3.6',
    mmpretrain='onedl-mmpretrain==1.3.6',
    mmdet='onedl-mmdetection==3.5.1',
    mmseg='onedl-mmsegmentation==1.4.2',
)
# The last original releases, as in requirements/upstream.txt.
ORIGINALS = dict(
    torch='torch==2.1.2 torchvision==0.16.2',
    mmengine='mmengine==0.10.7',
    mmcv='--no-build-isolation mmcv==2.1.0',
    mmpretrain='mmpretrain==1.2.0',
    mmdet='mmdet==3.3.0',
    mmseg='mmsegmentation==1.2.2',
)
PYTHONS = (3, 10), (3, 14)  # first that fits, first that does not
# (module, first version that fits, first that does not)
REQUIREMENTS = (
    ('torch', '2.1', '3'),
    ('mmengine', '0.10', '1'),
    ('mmcv', '2.0', '2.4'),
    ('mmpretrain', '1.0', '2'),
)


def pip_line(module: str, versions: Optional[dict[str, str]] = None) -> str:
    """pip's arguments for the tested version of ``module``.

    That of the original releases where any of those is installed, for the
    two do not go together; else the fork's.

    Args:
        module (str): A key of :data:`PIP`.
        versions (dict, optional): Of the distributions; those installed, if
            left out.
    """
    original = originals(installed() if versions is None else versions)
    if module == 'torch' and sys.version_info >= (3, 12):
        original = []  # for which there is no torch 2.1
    return (ORIGINALS if original else PIP)[module]


def numbers(version: str) -> tuple[int, ...]:
    """``'2.12.1+cu130'`` -> ``(2, 12, 1)``."""
    release = re.match(r'\d+(\.\d+)*', version)
    assert release is not None, version  # PEP 440's all begin so
    return tuple(map(int, release[0].split('.')))


def _version(name):
    """The version of module ``name``; None if there is no such module."""
    try:
        module = import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            return None
        raise
    # A folder of that name on the path imports too, as an empty namespace.
    return getattr(module, '__version__', None)


NAMESAKE = (
    "the distribution 'banet' is another project (burned areas in satellite "
    "images) whose files lie in the same folder as this package's, which "
    'pip calls banet-openmmlab.'
)
SEPARATE = 'pip uninstall -y banet banet-openmmlab'


def distribution_version(name: str) -> Optional[str]:
    """Version of an installed distribution, of which nothing is imported."""
    try:
        return distribution(name).version
    except PackageNotFoundError:
        return None


def has_namesake() -> bool:
    """Whether PyPI's ``banet``, another project, is installed."""
    return distribution_version('banet') is not None


# mmpretrain's multimodal models, imported with all others as soon as these
# two are there, are made for transformers 4.
TRANSFORMERS = 'pip install "transformers<5"'


def multimodal_fault(
    transformers: Optional[str], pycocotools: Optional[str]
) -> str:
    """Why these versions, if there, keep mmpretrain from being imported.

    Returns:
        str: Empty if they do not.
    """
    if not (transformers and pycocotools and numbers(transformers) >= (5,)):
        return ''
    return (
        f'mmpretrain cannot be imported beside transformers {transformers}: '
        'its multimodal models are made for transformers 4.'
    )


def check_environment():
    """Import each required module and compare its version.

    Raises:
        ImportError: Names the module, what was found, what is needed and the
            pip line that installs it; or says that another project of the
            same name is installed.
    """
    if has_namesake():
        raise ImportError(
            f'{NAMESAKE} Remove both, then install this one again:\n'
            f'    {SEPARATE}'
        )
    for name, minimum, limit in REQUIREMENTS:
        cause, found = None, None
        try:
            found = _version(name)
        except Exception as error:  # whatever a broken install raises
            cause = error
        if cause is not None:
            problem = f'is installed but cannot be imported: {cause!r}'
        elif found is None:
            problem = 'is not installed'
        elif not numbers(minimum) <= numbers(found) < numbers(limit):
            problem = f'{found} does not fit'
        else:
            continue
        raise ImportError(
            f'{name} {problem}. banet needs {name} >= {minimum}, < {limit}. '
            f'Tested:\n    pip install {pip_line(name)}'
        ) from cause
    fault = multimodal_fault(
        distribution_version('transformers'),
        distribution_version('pycocotools'),
    )
    if fault:
        raise ImportError(f'{fault}\n    {TRANSFORMERS}')


def need(module: str, package: str):
    """Import an optional module.

    Args:
        module (str): Such as ``pytorch_grad_cam``.
        package (str): What pip calls it, such as ``grad-cam``.

    Raises:
        MissingPackage: It is not installed, or cannot be imported.
    """
    try:
        return import_module(module)
    except Exception as error:  # whatever a broken install raises
        raise MissingPackage(
            f'this needs {package} ({type(error).__name__}: {error}): '
            f'pip install {package}.'
        ) from error
