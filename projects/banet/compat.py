"""Does the environment hold what the package needs, in versions that fit?

Two distributions provide the same OpenMMLab modules (the original one and
the maintained ``onedl-*`` fork), so setup.py can require neither. Instead
this check names what is missing or does not fit, and the line that mends it.
"""

import re
from importlib import import_module

# (module, first version that fits, first that does not, pip's arguments)
REQUIREMENTS = (
    ('torch', '2.1', '3', 'torch==2.12.1 torchvision==0.27.1'),
    ('mmengine', '0.10', '1', 'onedl-mmengine==0.10.12'),
    ('mmcv', '2.0', '2.4', '--no-build-isolation onedl-mmcv==2.3.6'),
    ('mmpretrain', '1.0', '2', 'onedl-mmpretrain==1.3.6'),
)


def _numbers(version):
    """``'2.12.1+cu130'`` -> ``(2, 12, 1)``."""
    return tuple(map(int, re.match(r'\d+(\.\d+)*', version)[0].split('.')))


def check_environment():
    """Import each required module and compare its version.

    Raises:
        ImportError: Names the module, what was found, what is needed and the
            pip line that installs it.
    """
    for name, minimum, limit, package in REQUIREMENTS:
        remedy = (
            f'banet needs {name} >= {minimum}, < {limit}. Tested:\n'
            f'    pip install {package}'
        )
        try:
            module = import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise ImportError(
                    f'{name} is installed but cannot be '
                    f'imported: {error}. {remedy}'
                ) from error
            raise ImportError(f'{name} is not installed. {remedy}') from None
        except Exception as error:  # whatever a broken install raises
            raise ImportError(
                f'{name} is installed but cannot be imported: '
                f'{error!r}. {remedy}'
            ) from error
        found = module.__version__
        if not _numbers(minimum) <= _numbers(found) < _numbers(limit):
            raise ImportError(f'{name} {found} does not fit. {remedy}')
