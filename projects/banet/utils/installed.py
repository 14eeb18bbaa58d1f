"""Which distributions are installed, and which of them provide a module."""

from importlib.metadata import distributions
from typing import Optional

# module -> distributions that provide it: the original, the maintained fork
PROVIDERS = dict(
    torch=('torch',),
    torchvision=('torchvision',),
    numpy=('numpy',),
    mmengine=('mmengine', 'onedl-mmengine'),
    mmcv=('mmcv', 'mmcv-lite', 'onedl-mmcv'),
    mmpretrain=('mmpretrain', 'onedl-mmpretrain'),
    mmdet=('mmdet', 'onedl-mmdetection'),
    mmseg=('mmsegmentation', 'onedl-mmsegmentation'),
)


def installed() -> dict[str, str]:
    """Versions of all installed distributions, by name in lower case."""
    found: dict[str, str] = {}
    for distribution in distributions():
        name = (distribution.metadata['Name'] or '').lower().replace('_', '-')
        found.setdefault(name, distribution.version)  # the first one counts
    return found


def originals(versions: dict[str, str]) -> list[str]:
    """The libraries, mmcv aside, that are original releases."""
    names = ('mmengine', 'mmdet', 'mmsegmentation', 'mmpretrain')
    return [name for name in names if name in versions]


def version_of(module: str, versions: dict[str, str]) -> Optional[str]:
    """Version of the distribution that provides ``module``; None if none."""
    return next(
        (versions[p] for p in PROVIDERS[module] if p in versions), None
    )
