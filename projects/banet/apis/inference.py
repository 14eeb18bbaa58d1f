"""From a config and a checkpoint to a model that sees images."""

import copy
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Optional, Union

import torch
from mmengine.config import Config
from mmengine.device import get_device

from ..utils.compat import PIP, pip_line
from .config import CONFIG_SUFFIXES, ConfigError, load_config, SCOPES
from .model import deployable, load_model
from .predictor import Predictor, scope_of
from .predictors import KINDS
from .zoo import find_config


def load(
    config: Union[str, Path, Config],
    checkpoint: Union[str, Path],
    device: Optional[str] = None,
    trust: bool = False,
    deploy: bool = False,
) -> Predictor:
    """Load a trained classifier, detector or segmentor.

    Whatever the config says of pretrained weights, nothing is fetched.

    Args:
        config (str | Path | Config): What it was trained with: a file, or
            a name of :func:`banet.list_models`.
        checkpoint (str | Path): Its weights, all of them.
        device (str | None): Such as ``'cuda:0'`` or ``'cpu'``. None takes
            what is there. Defaults to None.
        trust (bool): Run code in the checkpoint, if any. Defaults to False.
        deploy (bool): Take the fast form, which computes the same: norms
            fused, attention folded. Defaults to False.

    Returns:
        Predictor: Call its :meth:`~Predictor.predict`; its ``model`` is the
        library's own.

    Raises:
        ConfigError: The config is missing, or of none of the three tasks.
        CheckpointError: The checkpoint is missing, damaged or of another
            config.
    """
    if not isinstance(config, Config):
        name = str(config)
        known = name.endswith(CONFIG_SUFFIXES) or Path(name).exists()
        config = load_config(name if known else str(find_config(name)))
    kind = KINDS.get(config.get('default_scope'))
    if kind is None:
        raise ConfigError(
            f'{config.filename} has default_scope='
            f'{config.get("default_scope")!r}, which names no library: set it '
            f'to one of {", ".join(SCOPES)}.'
        )
    config = copy.deepcopy(config)  # upstream changes it
    if not config.get('test_dataloader'):
        raise ConfigError(
            f'{config.filename} has no test_dataloader, whose pipeline says '
            'how the model sees an image.'
        )
    _unwrap(config)
    device = _check_device(device)
    try:
        with scope_of(config), redirect_stdout(StringIO()):
            # mmdet and mmseg print a line on standard output
            model, meta = load_model(config, checkpoint, trust)
            if deploy:
                deployable(model).switch_to_deploy()
            return kind(config, model, meta, device)
    except ModuleNotFoundError as error:
        if error.name not in PIP:
            raise
        raise ConfigError(
            f'{config.filename} needs {error.name}: '
            f'pip install {pip_line(error.name)}.'
        ) from error


def _unwrap(config):
    """Leave one data set, whose pipeline upstream's inferencers look for."""
    loader = config.test_dataloader
    if isinstance(loader, list):
        loader = config.test_dataloader = loader[0]
    while 'dataset' in loader.dataset or 'datasets' in loader.dataset:
        inner = loader.dataset.get('dataset') or loader.dataset.datasets[0]
        loader.dataset = inner
    _name_types(loader.dataset.get('pipeline') or ())


def _name_types(steps):
    """Names for the classes of a new-style config's pipeline.

    Upstream's inferencers look for a transform by its name. Where such a
    config was written to a file, classes are their whole paths.
    """
    for step in steps:
        kind = step.get('type')
        if isinstance(kind, type):
            step['type'] = kind.__name__
        elif isinstance(kind, str) and kind.count('.') > 1:
            step['type'] = kind.rpartition('.')[2]
        inner = step.get('transforms') or ()
        for child in inner:
            _name_types(child if isinstance(child, list) else [child])


def _check_device(device):
    device = device or get_device()
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA
        raise ConfigError(
            f'device {device!r} cannot be used here: '
            f'{str(error).splitlines()[0]}. This machine has '
            f'{get_device()!r}.'
        ) from error
    return device
