"""Configs for a user's own data, written from ours."""

from .write import make_config, NewConfigError

__all__ = ['make_config', 'NewConfigError']
