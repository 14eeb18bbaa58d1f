"""Config files: read, or refused with the remedy."""

import os
from importlib.util import find_spec

from mmengine.config import Config

from ..utils.compat import pip_line
from ..utils.errors import BanetError

SCOPES = ('mmpretrain', 'mmdet', 'mmseg')
CONFIG_SUFFIXES = ('.py', '.json', '.yml', '.yaml')


class ConfigError(BanetError):
    """What is wrong with a config, with its remedy."""


def load_config(path: str) -> Config:
    """Read a config.

    Raises:
        ConfigError: It is missing, unreadable, or its library is missing.
    """
    if not os.path.isfile(path):
        raise ConfigError(
            f'config {path} does not exist (looked in {os.getcwd()}).'
        )
    try:
        return Config.fromfile(path)
    except Exception as error:  # a config is code: anything may come
        missing = ''.join(
            f' {scope} is not installed: pip install {pip_line(scope)}.'
            for scope in SCOPES
            if scope in str(error) and not find_spec(scope)
        )
        raise ConfigError(
            f'{path} cannot be read as a config: '
            f'{type(error).__name__}: {error}.{missing}'
        ) from error
