"""Rewrite the weights of (BA-)ResNets under other names, or load them.

Writes the names of mmpretrain, of the authors' BAv2 repository and of
torchvision.
"""

import re
from pathlib import Path
from typing import Union

from mmengine.runner.checkpoint import load_state_dict
from torch import nn, Tensor

from ..backbones import BAResNet, names
from ..backbones.load_report import LoadReport
from ..backbones.loading import LoadingMixin
from ..backbones.mismatch import is_folded
from ..bridge.attention import BridgeAttention
from ..utils.errors import CheckpointError
from ..utils.files import check_apart, check_target
from ..utils.text import shorten
from ..version import __version__
from .files import plain, read, sha256, write
from .formats import Checkpoint, open_checkpoint
from .locate import locate
from .weights import unwrap, within, without_prefixes

# Names that torchvision's ResNets and the authors' code have.
TORCHVISION = re.compile(
    r'(conv1|bn1)\.\w+|layer\d\.\d+\.(conv[123]|bn[123]|downsample\.[01])\.\w+'
)


def to_mm(checkpoint: Checkpoint, task: str = 'cls') -> dict[str, Tensor]:
    """State dict of a mmpretrain classifier or of a bare backbone.

    Args:
        checkpoint (Checkpoint): The weights.
        task (str): ``cls`` (``backbone.*`` and ``head.fc.*``) or
            ``backbone`` (no prefix).

    Raises:
        CheckpointError: They have no classifier.
    """
    if task == 'backbone':
        return dict(checkpoint.backbone)
    _check_classifier(checkpoint)
    return {
        **{f'backbone.{n}': v for n, v in checkpoint.backbone.items()},
        **{f'head.fc.{n}': v for n, v in checkpoint.classifier.items()},
    }


def to_reference(
    checkpoint: Checkpoint, task: str = 'cls'
) -> dict[str, Tensor]:
    """State dict under the names of the authors' BAv2 repository.

    Raises:
        CheckpointError: Their code has no names for such weights.
    """
    _check_not_folded(checkpoint)
    attention = checkpoint.attention
    if attention not in ('BridgeAttentionV1', 'BridgeAttentionV2'):
        raise CheckpointError(
            'the authors have no names for a network with '
            f'{attention or "no attention"}: use --to torchvision or '
            '--to mm.'
        )
    # A layer norm has the names of a batch norm, without statistics.
    norms = {
        name.rpartition('.')[0]
        for name, tensor in checkpoint.backbone.items()
        if '.attention.' in name
        and name.endswith('.weight')
        and tensor.ndim == 1
    }
    for name in sorted(norms):
        if f'{name}.running_mean' not in checkpoint.backbone:
            raise CheckpointError(
                f"the authors' code has batch norms in its attention alone, "
                f'and {name} has no running statistics: use --to mm.'
            )
    theirs = names.to_reference(checkpoint.backbone)
    plain = {n for n in theirs if '.attention.' not in n}
    _check_torchvision(plain, 'reference')
    return {
        **{theirs[n]: v for n, v in checkpoint.backbone.items()},
        **_fc(checkpoint, task),
    }


def to_torchvision(
    checkpoint: Checkpoint, task: str = 'cls', drop_attention: bool = False
) -> dict[str, Tensor]:
    """State dict under the names of torchvision's plain ResNets.

    Raises:
        CheckpointError: torchvision has no names for such weights.
    """
    _check_not_folded(checkpoint)
    if checkpoint.attention:
        if not drop_attention:
            raise CheckpointError(
                'torchvision has no attention: what is left without it '
                'is another, worse network. --drop-attention writes it '
                'all the same.'
            )
        checkpoint = checkpoint.without_attention()
    _check_torchvision(checkpoint.backbone, 'torchvision')
    return {**checkpoint.backbone, **_fc(checkpoint, task)}


def _fc(checkpoint, task):
    if task == 'backbone':
        return {}
    _check_classifier(checkpoint)
    return {f'fc.{n}': v for n, v in checkpoint.classifier.items()}


def _check_not_folded(checkpoint):
    if is_folded(checkpoint.backbone):
        raise CheckpointError(
            'it is folded (the deploy form), which other libraries have '
            'no names for: convert the checkpoint that it was made of.'
        )


def _check_classifier(checkpoint):
    if not checkpoint.classifier:
        raise CheckpointError(
            'there is no classifier (fc, head.fc) in it: use --task backbone.'
        )


def _check_torchvision(found, target):
    foreign = [n for n in found if not TORCHVISION.fullmatch(n)]
    if foreign:
        raise CheckpointError(
            f'--to {target} has no names for {shorten(foreign)} (deep '
            'stem, average-pooled shortcuts or another norm): '
            'use --to mm.'
        )


def convert(
    source: Union[str, Path],
    target: Union[str, Path],
    to: str = 'mm',
    task: str = 'cls',
    *,
    drop_attention: bool = False,
    publish: bool = False,
    force: bool = False,
    trust: bool = False,
    ema: bool = False,
) -> tuple[Checkpoint, Path]:
    """Rewrite a checkpoint under other names; no digit changes.

    Args:
        source (str | Path): File to read.
        target (str | Path): File to write.
        to (str): ``mm``, ``reference`` (the BAv2 repository) or
            ``torchvision``.
        task (str): ``cls`` with the classifier, ``backbone`` without.
        drop_attention (bool): Leave the attention out, which gives another
            network. Defaults to False.
        publish, force: See :func:`banet.checkpoint.files.write`.
        trust, ema: See :func:`open_checkpoint`.

    Returns:
        tuple: What was read, and the file written.

    Raises:
        CheckpointError: Cannot be read, converted or written.
    """
    target = Path(target)
    check_target(target, force or publish)
    checkpoint = open_checkpoint(source, trust, ema)
    check_apart(target, locate(source))
    chosen = checkpoint.without_attention() if drop_attention else checkpoint
    if to == 'mm':
        meta = {
            **checkpoint.meta,
            **checkpoint.info,
            'source': Path(source).name,
            'sha256': sha256(locate(source)),
            'format': checkpoint.format,
            'network': chosen.network,
            'depth': chosen.depth,
            'version': __version__,
        }
        content = dict(meta=plain(meta), state_dict=to_mm(chosen, task))
    elif to == 'reference':
        content = dict(
            model=to_reference(chosen, task), **plain(checkpoint.info)
        )
    else:
        content = to_torchvision(checkpoint, task, drop_attention)
    return checkpoint, write(content, target, force, publish)


def load_weights(
    model: nn.Module, path: Union[str, Path], trust: bool = False
) -> LoadReport:
    """Load a file of any recognised format into a backbone.

    Args:
        model (nn.Module): BA backbone, or a model with one as ``backbone``.
        path (str | Path): The file; its heads are not loaded.
        trust (bool): Allow code in it. Defaults to False.

    Returns:
        LoadReport: What was loaded, warm-started, missing, ...

    Raises:
        CheckpointError: The file cannot be read; it is no ResNet and the
            backbone is one with bridge attention, or plain.
        ValueError: It is another network than the backbone.
        TypeError: ``model`` is or has no BA backbone.
    """
    backbone = getattr(model, 'backbone', model)
    if not isinstance(backbone, LoadingMixin):
        raise TypeError(
            f'{type(model).__name__} is no backbone of banet, such as '
            'BAResNet, and has none as its attribute backbone.'
        )
    attentions = [block.attention for _, block in backbone.blocks()]
    if isinstance(backbone, BAResNet) and all(
        attention is None or isinstance(attention, BridgeAttention)
        for attention in attentions
    ):
        weights = to_mm(open_checkpoint(path, trust), 'backbone')
    else:
        weights = _bare(read(path, trust), next(iter(backbone.state_dict())))
    report = backbone.coverage(weights)
    # mmengine's, which leaves out tensors of another shape, as everywhere.
    load_state_dict(backbone, weights)
    return report


def _bare(raw, first):
    """The weights of a backbone whose first one has that name, without
    wrappers and prefixes."""
    found, _ = without_prefixes(unwrap(raw)[0])
    found = within(found, [f'backbone.{first}'])
    below = {
        name.removeprefix('backbone.'): value
        for name, value in found.items()
        if name.startswith('backbone.')
    }
    return below or found
