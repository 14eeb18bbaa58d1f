"""What there is: the shipped configs, and bare backbones."""

from difflib import get_close_matches
from fnmatch import fnmatch
from pathlib import Path
from typing import Optional, Union

from mmengine.fileio import load as load_yaml
from mmengine.registry import MODELS
from torch import nn

from ..backbones import (
    BAConvNeXt,
    BAEfficientNet,
    BAEfficientNetV2,
    BAMobileNetV3,
    BAResNet,
    BASwinTransformer,
    BridgedBackbone,
)
from ..checkpoint.convert import load_weights
from ..utils.errors import BanetError
from ..utils.logs import only_warnings

# Short name -> the tasks of the ecosystem's metafiles.
TASKS = dict(
    cls=('Image Classification',),
    det=('Object Detection', 'Instance Segmentation'),
    seg=('Semantic Segmentation',),
)

# Whose out_indices count layers.
IN_LAYERS = BAMobileNetV3, BAEfficientNet, BAEfficientNetV2


class ZooError(BanetError):
    """What there is not, with what there is."""


def home() -> Path:
    """The folder with configs/, tools/ and model-index.yml."""
    package = Path(__file__).parents[1]
    packed = package / '.mim'
    # Not installed, but on PYTHONPATH: the repository itself.
    return packed if packed.is_dir() else package.parents[1]


def _models() -> dict[str, dict]:
    index = load_yaml(home() / 'model-index.yml')
    return {
        entry['Name']: entry
        for path in index['Import']
        for entry in load_yaml(home() / path)['Models']
    }


def list_models(pattern: str = '*', task: Optional[str] = None) -> list[str]:
    """Names of the shipped configs.

    Args:
        pattern (str): Of the names, such as ``'mask-rcnn*'``; without a
            wildcard it may stand anywhere in them. Defaults to ``'*'``.
        task (str | None): ``'cls'``, ``'det'`` or ``'seg'``; None for all.
            Defaults to None.

    Raises:
        ZooError: There is no such task.
    """
    if task not in (None, *TASKS):
        raise ZooError(
            f'task={task!r} is unknown: use {", ".join(TASKS)}, or None.'
        )
    if not any(c in pattern for c in '*?['):
        pattern = f'*{pattern}*'
    return sorted(
        name
        for name, entry in _models().items()
        if fnmatch(name, pattern)
        and (task is None or entry['Results'][0]['Task'] in TASKS[task])
    )


def find_config(name: str) -> Path:
    """Path of the shipped config of that name.

    Raises:
        ZooError: There is none; the nearest names are listed.
    """
    models = _models()
    if name not in models:
        near = get_close_matches(name, models, n=3, cutoff=0.3)
        raise ZooError(
            f'{name!r} is neither a file nor a config of '
            f'banet.list_models(). The nearest: {", ".join(near) or "none"}.'
        )
    return home() / models[name]['Config']


def features(
    depth: Optional[int] = None,
    backbone: str = 'BAResNet',
    weights: Union[str, Path, None] = None,
    out_indices: Optional[tuple] = None,
    **kwargs,
) -> nn.Module:
    """A bare backbone, outside of any config.

    Args:
        depth (int | None): Of a ResNet or ResNeXt; the other families take
            ``arch=...``. None is 50 where there is a depth.
        backbone (str): Registered name. Defaults to ``'BAResNet'``.
        weights (str | Path | None): A checkpoint, see
            :func:`banet.load_weights`; that of a plain network warm-starts
            this one. Defaults to None.
        out_indices (tuple | None): The stages whose maps come out. None:
            all four; in MobileNetV3 and EfficientNet, which count layers and
            not stages, the last one. Defaults to None.
        **kwargs: Further arguments of the backbone.

    Returns:
        nn.Module: Images (N, 3, H, W) in, a tuple of maps (N, C, h, w) out;
        in training mode, as torchvision's models are.

    Raises:
        ZooError: ``backbone`` is none of this package's.
        CheckpointError: The weights cannot be read.
        ValueError: They are another network's.
    """
    kind = MODELS.get(backbone)
    if kind is None or not issubclass(kind, BridgedBackbone):
        raise ZooError(
            f'backbone={backbone!r} is unknown; there are '
            + ', '.join(
                name
                for name, cls in sorted(MODELS.module_dict.items())
                if isinstance(cls, type) and issubclass(cls, BridgedBackbone)
            )
            + '.'
        )
    if issubclass(kind, BAResNet):
        kwargs['depth'] = 50 if depth is None else depth
    elif depth is not None or 'arch' not in kwargs:
        raise ZooError(f'{backbone} has no depth: name its arch=..., instead.')
    if out_indices is None and not issubclass(kind, IN_LAYERS):
        out_indices = (0, 1, 2, 3)
    if out_indices is not None:
        kwargs['out_indices'] = out_indices
    if issubclass(kind, BASwinTransformer):
        kwargs.setdefault('pad_small_map', True)  # any size of image
    if issubclass(kind, BAConvNeXt):
        kwargs.setdefault('gap_before_final_norm', False)  # maps, not vectors
    model = kind(**kwargs)
    with only_warnings():  # mmengine logs every tensor
        model.init_weights()
    if weights is not None:
        load_weights(model, weights)
    return model
