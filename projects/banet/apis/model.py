"""From a config to its model, and weights into it, all of them."""

import logging
from pathlib import Path
from typing import Union

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope, MODELS
from torch import nn

from ..backbones import BridgedBackbone
from ..backbones.loading import LoadingMixin
from ..checkpoint.files import plain, read
from ..checkpoint.weights import unwrap, within, without_prefixes
from ..utils.errors import CheckpointError
from ..utils.logs import only_warnings
from ..utils.text import shorten
from .config import ConfigError

# What thop leaves in a model that it has counted.
COUNTS = '.total_ops', '.total_params'


def build_model(config: Config) -> nn.Module:
    """Build the whole model of a config, without weights.

    Nothing is fetched: what ``init_cfg`` names is left alone. SyncBN becomes
    BN where there is no GPU.

    Raises:
        ConfigError: It has no model.
    """
    if 'model' not in config:
        raise ConfigError(
            f'{config.filename} has no model: name a config of a classifier, '
            'detector or segmentor.'
        )
    init_default_scope(config.get('default_scope') or 'mmengine')
    cfg = config.model.copy()
    if config.get('data_preprocessor'):  # as mmpretrain's runner does
        cfg.setdefault(
            'data_preprocessor',
            {'type': 'ClsDataPreprocessor', **config.data_preprocessor},
        )
    with only_warnings():  # who trains it is told by the Runner
        model = MODELS.build(cfg)
    return model if torch.cuda.is_available() else revert_sync_batchnorm(model)


def image_channels(backbone: nn.Module) -> int:
    """How many channels of an image its first conv takes."""
    return next(
        module.in_channels
        for module in backbone.modules()
        if isinstance(module, nn.Conv2d)
    )


def load_model(
    config: Config, path: Union[str, Path], trust: bool = False
) -> tuple[nn.Module, dict]:
    """Build the model of a config and load all of its weights.

    Args:
        config (Config): Of a classifier, detector or segmentor.
        path (str | Path): Checkpoint of a training with that config, under
            whatever prefixes, see
            :func:`banet.checkpoint.weights.without_prefixes`.
        trust (bool): Run code in it, if any. Defaults to False.

    Returns:
        tuple: The model in eval mode, and the checkpoint's ``meta``.

    Raises:
        ConfigError: The config has no model.
        CheckpointError: The file is missing, damaged or of another config.
    """
    checkpoint = read(path, trust)
    try:
        weights, *_ = unwrap(checkpoint)
    except CheckpointError as error:
        raise CheckpointError(f'{path}: {error}') from error
    model = build_model(config)
    own = model.state_dict()
    weights = within(without_prefixes(weights, own)[0], own)
    try:
        backbone = getattr(model, 'backbone', None)
        if isinstance(backbone, LoadingMixin):
            backbone.coverage(weights, 'backbone.')  # says why not
        parts = {name.partition('.')[0] for name in own}
        beside = [
            n
            for n in weights
            if n.partition('.')[0] not in parts or n.endswith(COUNTS)
        ]
        weights = {n: v for n, v in weights.items() if n not in beside}
        found = model.load_state_dict(weights, strict=False)
        wrong = [
            f'{label} {shorten(names)}'
            for label, names in (
                ('it lacks', found.missing_keys),
                ('the model lacks', found.unexpected_keys),
            )
            if names
        ]
    except (RuntimeError, ValueError, AttributeError, TypeError) as error:
        wrong = [str(error)]
    if wrong:
        raise CheckpointError(
            f'{path} does not fit {config.filename}: {"; ".join(wrong)}. '
            'Name the config that it was trained with.'
        )
    if beside:
        print_log(
            f'{path}: left out, for they are no part of the model: '
            f'{shorten(beside)}',
            logger='current',
            level=logging.WARNING,
        )
    meta = checkpoint.get('meta')
    return model.eval(), plain(meta) if isinstance(meta, dict) else {}


def deployable(model: nn.Module) -> BridgedBackbone:
    """The backbone of ``model``, which has a deploy form.

    Raises:
        ConfigError: It has none.
    """
    backbone = getattr(model, 'backbone', None)
    if backbone is None or not hasattr(backbone, 'switch_to_deploy'):
        raise ConfigError(
            f'the backbone {type(backbone).__name__} has no deploy form; '
            'BAResNet has.'
        )
    return backbone
