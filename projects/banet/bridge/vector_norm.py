"""Norms on the attention's vectors, (N, h), and the batch of one."""

import logging
from typing import Optional

import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.registry import MODELS
from torch import nn, Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from .ops import is_compiling, is_symbolic

USE_LN = "attention=dict(type='BridgeAttentionV2', norm_cfg=dict(type='LN'))"


def is_kind(cfg: dict, kind: type) -> bool:
    """Whether the ``type`` of ``cfg``, a name or a class, is of a kind."""
    found = cfg.get('type') if isinstance(cfg, dict) else None
    if isinstance(found, str):
        # As building does it, first in the default scope's own registry.
        with MODELS.switch_scope_and_registry(None) as registry:
            found = registry.get(found)
    return isinstance(found, type) and issubclass(found, kind)


def build_vector_norm(norm_cfg: dict, num_features: int) -> nn.Module:
    """Build the norm layer of ``norm_cfg`` for (N, num_features) vectors.

    ``BN``, or its class, means ``BN1d`` here; ``SyncBN``, ``LN``, ``GN`` and
    any registered norm that takes such vectors are built as they are.

    Raises:
        ValueError: The norm cannot work on vectors: it needs spatial axes,
            leaves one value per group, or keeps no running statistics.
        TypeError: ``norm_cfg`` is not a dict (from mmcv).
    """
    if is_kind(norm_cfg, nn.BatchNorm2d):
        norm_cfg = {**norm_cfg, 'type': 'BN1d'}
    try:
        norm = build_norm_layer(norm_cfg, num_features)[1]
        problem = _problem_on_vectors(norm, num_features)
    except (KeyError, ValueError) as error:  # unknown, indivisible groups
        problem = str(error)
    if problem:
        raise ValueError(
            f'norm_cfg={norm_cfg} cannot normalise the '
            f"attention's (N, {num_features}) vectors: "
            f'{problem}. Use BN, SyncBN or LN, such as {USE_LN}.'
        )
    return norm


def _problem_on_vectors(norm: nn.Module, num_features: int) -> Optional[str]:
    if isinstance(norm, _InstanceNorm):
        return 'instance norm averages over spatial axes, there are none'
    if isinstance(norm, _BatchNorm) and norm.running_mean is None:
        return 'it keeps no running statistics (track_running_stats=False)'
    # By its class: where parameters are not there yet (accelerate's empty
    # weights, DeepSpeed's zero.Init), nothing can be tried.
    if type(norm).__name__.lower().endswith(('2d', '3d')):
        return 'it takes maps, (N, C, H, W)'
    groups = getattr(norm, 'num_groups', 1)  # of GroupNorm
    if not isinstance(norm, _BatchNorm) and num_features == groups:
        return (
            'a group of one value is always normalised to zero (fewer groups '
            'or a smaller ratio help)'
        )
    return None


def normalize(norm: nn.Module, x: Tensor) -> Tensor:
    """Apply ``norm`` to ``x`` (N, h), also where a batch has no statistics.

    A training batch of one (the last of an epoch, for example) is normalised
    with the running statistics, which it does not update: PyTorch would
    raise "Expected more than 1 value per channel when training".
    """
    if not (norm.training and isinstance(norm, _BatchNorm)) or is_symbolic(x):
        return norm(x)
    samples = x.shape[0]
    if isinstance(norm, nn.SyncBatchNorm):
        samples *= get_world_size(norm.process_group)
    if samples == 1:
        return F.batch_norm(
            x,
            norm.running_mean,
            norm.running_var,
            norm.weight,
            norm.bias,
            training=False,
            eps=norm.eps,
        )
    if not is_compiling() and 2 <= samples <= 4:  # no guard on the batch
        # mmengine's logger shows a repeated warning once.
        print_log(
            'Bridge attention normalises one vector per image over batches '
            'of 2 to 4 images: the normalised values hardly depend on the '
            'images (about +-1 at 2). Use norm_eval=True where the weights '
            "bring running statistics, norm_cfg=dict(type='SyncBN') on "
            'several GPUs, a larger batch, or a norm without batch '
            f'statistics: {USE_LN}.',
            logger='current',
            level=logging.WARNING,
        )
    return norm(x)
