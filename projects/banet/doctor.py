"""What is installed, does it fit together, and the line that mends it.

    python -m banet.doctor

Imports nothing of the package but its tables of versions, so that it also
runs where ``import banet`` fails. The exit code is 1 if something is broken.
"""

import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from .utils.compat import (
    multimodal_fault,
    NAMESAKE,
    numbers,
    ORIGINALS,
    PIP,
    pip_line,
    PYTHONS,
    REQUIREMENTS,
    SEPARATE,
    TRANSFORMERS,
)
from .utils.installed import installed, originals, PROVIDERS, version_of

OPTIONAL = dict(mmdet='detection', mmseg='segmentation')


@dataclass(frozen=True)
class Finding:
    """Something that is broken, or only worth knowing.

    Args:
        text (str): What and why.
        remedy (str): The line that mends it; '' for a note.
    """

    text: str
    remedy: str = ''


def import_errors() -> dict:
    """What importing each provided module raises, by module."""
    errors = {}
    for name in PROVIDERS:
        if find_spec(name) is None:
            continue
        try:
            import_module(name)
        except Exception as error:  # whatever a broken install raises
            errors[name] = error
    return errors


def has_ops() -> bool:
    """Whether mmcv has its compiled operations."""
    try:
        import_module('mmcv._ext')
    except Exception:  # missing, or built against another torch
        return False
    return True


def check_python() -> list:
    """Is this a Python that the package supports?"""
    first, limit = PYTHONS
    if first <= sys.version_info[:2] < limit:
        return []
    found = '.'.join(map(str, sys.version_info[:3]))
    text = (
        f'Python {found} is not supported; {first[0]}.{first[1]} to '
        f'{limit[0]}.{limit[1] - 1} are.'
    )
    return [Finding(text, 'PYTHON=python3.11 make setup')]


def check_missing(versions: dict) -> list:
    """Is every package there, in a version that fits?"""
    found = []
    for name, minimum, limit in REQUIREMENTS:
        version = version_of(name, versions)
        if version is None:
            text = f'{name} is not installed.'
        elif not numbers(minimum) <= numbers(version) < numbers(limit):
            text = f'{name} {version} does not fit: >= {minimum}, < {limit}.'
        else:
            continue
        found.append(Finding(text, f'pip install {pip_line(name, versions)}'))
    for name, task in OPTIONAL.items():
        if version_of(name, versions) is None:
            text = f'{name} is not installed: no {task}. To have it: '
            text += f'pip install {pip_line(name, versions)}'
            found.append(Finding(text))
    return found


def check_doubles(versions: dict) -> list:
    """Do two distributions write into one module's folder?"""
    found = []
    if 'banet' in versions:
        found.append(Finding(NAMESAKE, SEPARATE))
    for name, providers in PROVIDERS.items():
        double = [p for p in providers if p in versions]
        if len(double) > 1:
            text = (
                f'{" and ".join(double)} both provide {name}: files of one '
                'lie over those of the other.'
            )
            found.append(Finding(text, _replace(name, versions)))
    return found


def check_pairs(versions: dict) -> list:
    """Known faults of versions that do not go together."""
    found = []

    def at_least(name, minimum):
        version = versions.get(name)
        return version is not None and numbers(version) >= numbers(minimum)

    original = originals(versions)
    if 'mmengine' in versions and at_least('torch', '2.6'):
        text = (
            f'mmengine {versions["mmengine"]} cannot read its own checkpoints '
            f'with torch {versions["torch"]} (torch.load there reads weights '
            'only).'
        )
        line = f'pip install {ORIGINALS["torch"]}'
        if sys.version_info >= (3, 12):  # for which there is no torch 2.1
            line = 'pip uninstall -y mmengine && pip install '
            line += PIP['mmengine']
        found.append(Finding(text, line))
    for name, module in (('mmdet', 'mmdet'), ('mmsegmentation', 'mmseg')):
        mmcv = version_of('mmcv', versions)
        if name in versions and mmcv and numbers(mmcv) >= (2, 2):
            text = (
                f'{module} {versions[name]} refuses mmcv >= 2.2, and {mmcv} '
                'is installed.'
            )
            found.append(Finding(text, _replace('mmcv', versions)))
    if original and at_least('numpy', '2'):
        text = (
            f'{", ".join(original)} (the original releases) are made for '
            f'numpy 1, and {versions["numpy"]} is installed.'
        )
        found.append(Finding(text, 'pip install "numpy<2"'))
    if 'mmengine' in versions and find_spec('pkg_resources') is None:
        text = (
            f'mmengine {versions["mmengine"]} needs pkg_resources, which '
            f'setuptools {versions.get("setuptools", "(none)")} has not.'
        )
        found.append(Finding(text, 'pip install "setuptools<81"'))
    fault = multimodal_fault(
        versions.get('transformers'), versions.get('pycocotools')
    )
    if fault:
        found.append(Finding(fault, TRANSFORMERS))
    for needed in ('ftfy', 'regex'):
        if 'mmsegmentation' in versions and needed not in versions:
            text = f'mmseg needs {needed}, which it does not ask for.'
            found.append(Finding(text, f'pip install {needed}'))
    return found


def check_torchvision(versions: dict, errors: dict) -> list:
    """Was torchvision built for this torch?"""
    error = errors.get('torchvision')
    if error is None or 'torchvision::nms' not in str(error):
        return []
    line = f'pip install {pip_line("torch", versions)}'
    return [Finding(f'torchvision is for another torch: {error}.', line)]


def check_ops(versions: dict, errors: dict) -> list:
    """Are mmcv's operations compiled, where something needs them?"""
    needing = [n for n in OPTIONAL if version_of(n, versions)]
    mmcv = version_of('mmcv', versions)
    if mmcv is None or 'mmcv' in errors or has_ops():
        return []
    if not needing:
        text = 'mmcv has no compiled operations: enough for classification.'
        return [Finding(text)]
    text = (
        f'mmcv {mmcv} has no compiled operations that load with this torch; '
        f'{" and ".join(needing)} need{"s" * (len(needing) == 1)} them.'
    )
    return [Finding(text, _replace('mmcv', versions) + ' --no-cache-dir')]


def check_imports(versions: dict, errors: dict) -> list:
    """Whatever cannot be imported for a reason that is not known."""
    return [
        Finding(
            f'{name} {version_of(name, versions)} cannot be imported: '
            f'{type(error).__name__}: {str(error).strip()}',
            _replace(name, versions) + ' --force-reinstall',
        )
        for name, error in errors.items()
    ]


def notes(versions: dict) -> list:
    """Limits of these versions that nothing on this machine mends."""
    found = []
    if 'onedl-mmsegmentation' in versions:
        text = (
            "_base_ = 'mmseg::...' does not work with onedl-mmengine; the "
            'files in configs/segmentation/_base_ stand in for it.'
        )
        found.append(Finding(text))
    if gpus() == 0:
        text = (
            'no GPU is visible: trainings run on the CPU, several processes '
            'over gloo (tools/dist_train.sh), SyncBN not at all.'
        )
        found.append(Finding(text))
    return found


def gpus() -> int:
    """Number of GPUs that torch sees; 0 also without a working torch."""
    try:
        torch = import_module('torch')
        return torch.cuda.device_count() if torch.cuda.is_available() else 0
    except Exception:  # a broken torch is reported by the other checks
        return 0


def examine(versions: dict) -> list:
    """All findings; those with a remedy are broken."""
    errors = import_errors()
    known = [
        *check_python(),
        *check_missing(versions),
        *check_doubles(versions),
        *check_pairs(versions),
        *check_torchvision(versions, errors),
        *check_ops(versions, errors),
    ]
    # A known fault explains why something cannot be imported.
    if not any(finding.remedy for finding in known):
        known += check_imports(versions, errors)
    return known + notes(versions)


def _replace(module, versions):
    """The line that puts the right distribution in place of what is there."""
    there = [p for p in PROVIDERS[module] if p in versions]
    line = pip_line(module, versions) if module in PIP else module
    return f'pip uninstall -y {" ".join(there)} && pip install {line}'


def main() -> int:
    """Print the versions and the findings; return the exit code."""
    versions = installed()
    print(f'{"python":12}{sys.version.split()[0]}')
    for module, providers in PROVIDERS.items():
        names = [f'{versions[p]} ({p})' for p in providers if p in versions]
        print(f'{module:12}{", ".join(names) or "-"}')
    print(f'{"mmcv ops":12}{"compiled" if has_ops() else "none"}')
    print(f'{"GPUs":12}{gpus()}')
    findings = examine(versions)
    for finding in findings:
        print('broken:' if finding.remedy else 'note:  ', finding.text)
        if finding.remedy:
            print('    ', finding.remedy)
    broken = any(finding.remedy for finding in findings)
    print('mend the first one, then ask again' if broken else 'all fits')
    return int(broken)


if __name__ == '__main__':
    sys.exit(main())
