"""From a config to the attention of one block."""

import logging
from functools import cache

from mmengine.logging import print_log
from mmengine.registry import MODELS
from torch import nn

from .channel_attention import ChannelAttention
from .vector_norm import is_kind


def build_attention(
    cfg: dict, in_channels, channels: int, norm_cfg: dict
) -> nn.Module:
    """Build the attention module that ``cfg`` names.

    The registered module is called with ``in_channels``, ``channels`` and
    ``norm_cfg`` besides the arguments in ``cfg``, which win over ``norm_cfg``;
    a :class:`ChannelAttention`, which has no norm, without the last one.

    Raises:
        TypeError: ``cfg`` is not a dict with a ``type``.
        ValueError: Neither the network nor ``cfg`` has a ``norm_cfg``.
        KeyError: The ``type`` is not registered (from the registry).
    """
    if not (isinstance(cfg, dict) and 'type' in cfg):
        raise TypeError(
            f'attention={cfg!r} must be a dict with a type, such as '
            "dict(type='BridgeAttentionV2', ratio=16), or None for the plain "
            'residual block.'
        )
    widths = dict(in_channels=in_channels, channels=channels)
    if is_kind(cfg, ChannelAttention):
        return MODELS.build(dict(cfg), default_args=widths)
    if norm_cfg is None and 'norm_cfg' not in cfg:
        raise ValueError(
            'norm_cfg=None leaves the attention without a norm: give it one '
            "of its own, attention=dict(..., norm_cfg=dict(type='LN'))."
        )
    norm_cfg = norm_cfg or {}
    if 'norm_cfg' not in cfg and is_kind(norm_cfg, nn.GroupNorm):
        # Its groups are made for maps: of a hidden width of 4 to 128, one in
        # 32 is a single value or none.
        _say_once(
            f"The backbone's norm_cfg={norm_cfg} has groups of channels, "
            'which the short vectors of bridge attention do not have: the '
            'attention takes LN.'
        )
        norm_cfg = dict(type='LN')
    # The attention is never pretrained: where the backbone's norms are frozen,
    # an inherited requires_grad=False would freeze it at its initial values.
    norm_cfg = dict(norm_cfg)
    norm_cfg.pop('requires_grad', None)
    return MODELS.build(
        dict(cfg), default_args=dict(**widths, norm_cfg=norm_cfg)
    )


@cache  # of all blocks, the first
def _say_once(line):
    print_log(line, logger='current', level=logging.INFO)
