"""Swin Transformers with bridge attention, on mmpretrain's."""

import math
from typing import Optional, Union

import torch.nn.functional as F
from mmcv.cnn.bricks.transformer import FFN
from mmengine.model import Sequential
from mmengine.registry import MODELS
from mmpretrain.models.backbones.swin_transformer import (
    SwinBlock,
    SwinTransformer,
)
from mmpretrain.models.utils import WindowMSA
from torch import nn

from ..bridge.block import BridgeMixin
from ..bridge.ops import full, gated_add
from ..bridge.warm_start import tensors_of
from .base import BridgedBackbone, check_arch, check_frozen
from .names import rename

# Names of the official code, but for its four stages' own (layers.0 ...).
OFFICIAL = (
    (r'^patch_embed\.proj\.', 'patch_embed.projection.'),
    (r'^layers\.', 'stages.'),
    (r'(\.blocks\.\d+\.attn\.)(?!w_msa)', r'\1w_msa.'),
    (r'(\.blocks\.\d+)\.mlp\.fc1\.', r'\1.ffn.layers.0.0.'),
    (r'(\.blocks\.\d+)\.mlp\.fc2\.', r'\1.ffn.layers.1.'),
    (r'^norm\.', 'norm3.'),
)
# Those of torchvision, as the official ones.
TORCHVISION = (
    (r'^features\.0\.0\.', 'patch_embed.proj.'),
    (r'^features\.0\.2\.', 'patch_embed.norm.'),
    (
        r'^features\.([246])\.',
        lambda m: f'layers.{int(m[1]) // 2 - 1}.downsample.',
    ),
    (r'^features\.([1357])\.', lambda m: f'layers.{int(m[1]) // 2}.blocks.'),
    (r'(\.blocks\.\d+)\.mlp\.0\.', r'\1.mlp.fc1.'),
    (r'(\.blocks\.\d+)\.mlp\.3\.', r'\1.mlp.fc2.'),
)


INDEX = 'relative_position_index'
TABLE = 'relative_position_bias_table'


def as_map(tokens):
    """View tokens, (N, L, C), as a map, (N, C, L, 1)."""
    return tokens.transpose(1, 2)[..., None]


def token_mean(tokens):
    """Mean over the tokens, (N, L, C) -> (N, C), as ops.spatial_mean."""
    return tokens.mean(1, dtype=full(tokens.dtype))


def as_tokens(features):
    """View a map, (N, C, L, 1), as tokens, (N, L, C)."""
    return features[..., 0].transpose(1, 2)


class SeenLayers(Sequential):
    """An FFN's layers, which show what each of them gives."""

    def forward(self, x, see=None):
        """``see(i, out)`` is called behind the i-th layer."""
        for i, layer in enumerate(self):
            x = layer(x)
            if see is not None:
                see(i, x)
        return x


class GatedFFN(FFN):
    """An FFN with a gate between its layers and its shortcut.

    A module of its own, as upstream's: hooks on it and within it are called.
    """

    def forward(self, x, identity=None, see=None, gate=None, fused=False):
        """As upstream's where there is no ``gate``.

        Args:
            x, identity (Tensor): (N, L, C).
            see (Callable): See :class:`SeenLayers`.
            gate (Callable): From the layers' output, (N, L, C), and the layer
                scale, (C,) or None, to the gate times the latter,
                (N, C, 1, 1).
            fused (bool): Nobody looks at what follows the layers, nor keeps
                their output.
        """
        if gate is None:
            return super().forward(x, identity)
        out = self.layers(x, see)
        if not fused:
            factor = as_tokens(gate(out, None))
            return identity + self.dropout_layer(self.gamma2(out) * factor)
        scale = getattr(self.gamma2, 'weight', None)
        factor = self.dropout_layer(gate(out, scale))
        return as_tokens(
            gated_add(as_map(identity), factor, as_map(out), inplace=True)
        )


class BASwinBlock(BridgeMixin, SwinBlock):
    """Swin's block whose three features take part in one gate.

    Bridged, each averaged over all tokens, are the outputs of the window
    attention (C), of the FFN's activation (4C) and of the FFN (C), all
    before stochastic depth. The gate multiplies the FFN's output before its
    shortcut is added.

    Args: those of :class:`banet.BridgeMixin`.

    Source: our reading.
    """

    def bridge(self, attention, norm_cfg, warm_start=True):
        """See :meth:`banet.BridgeMixin.bridge`."""
        super().bridge(attention, norm_cfg, warm_start)
        if self.attention is None:
            self.attn_drop_path = nn.Identity()
            return
        # What is dropped from the sum is bridged all the same.
        self.attn_drop_path, self.attn.drop = self.attn.drop, nn.Identity()
        self.ffn.__class__ = GatedFFN
        self.ffn.layers.__class__ = SeenLayers

    def _ffn_layers(self):
        """What comes before the last Linear, it, and what follows it."""
        *inner, last, dropout = self.ffn.layers
        return inner, last, dropout

    def bridged_widths(self):
        """C, the FFN's hidden widths, and C."""
        inner, last, _ = self._ffn_layers()
        return [
            last.out_features,
            *(layer[0].out_features for layer in inner),
            last.out_features,
        ]

    @property
    def gated_layer(self):
        """The FFN's last Linear."""
        return f'ffn.layers.{len(self.ffn.layers) - 2}'

    def _last_layer(self):
        return self._ffn_layers()[1]

    def _skipped_layers(self):
        _, last, dropout = self._ffn_layers()
        ffn = self.ffn
        return last, dropout, ffn.layers, ffn.gamma2, ffn.dropout_layer

    def _forward(self, x, hw_shape, unwatched):
        attended = self.attn(self.norm1(x), hw_shape)
        shortcut = self.attn_drop_path(attended) + x
        out = self.norm2(shortcut)
        if self.attention is None:
            return self.ffn(out, identity=shortcut)
        last = len(self.ffn.layers) - 2
        through_last = self._goes_through(unwatched)
        pooled = []

        def see(i, out):
            if i == last:
                self._pool_last(pooled, as_map(out), through_last)
            elif i < last and self._pools(last - i, through_last):
                pooled.append(token_mean(out))

        def gate(out, scale):
            return self._gate(pooled, as_map(out), scale)

        if self._pools(last + 1, through_last):
            pooled.append(token_mean(attended))
        return self.ffn(
            out, identity=shortcut, see=see, gate=gate, fused=unwatched
        )


@MODELS.register_module()
class BASwinTransformer(BridgedBackbone, SwinTransformer):
    """Swin Transformer with bridge attention in every block.

    Args:
        arch (str | dict): ``tiny``, ``small``, ``base``, ``large``, or a
            description.
        attention (dict | None): See :class:`banet.BAResNet`. Its
            ``norm_cfg`` defaults to LN: nothing in this network depends on
            the batch. Defaults to
            ``dict(type='BridgeAttentionV2', ratio=16)``.
        warm_start (bool): Make weights without attention give exactly the
            plain Swin Transformer. Defaults to True.
        deploy (bool): Build the inference form. Defaults to False.
        compile_blocks (bool | dict): See :class:`banet.BAResNet`.
        *args: Arguments of mmpretrain's SwinTransformer, in its order.
        **kwargs: The same by name. In detectors and segmentors say
            ``pad_small_map=True``.

    Raises:
        ValueError: Unknown ``arch``, or ``frozen_stages`` out of range.

    Source: our reading. The authors name Swin-T and have published no code
    for it.
    """

    def __init__(
        self,
        arch='tiny',
        *args,
        attention: Optional[dict] = dict(type='BridgeAttentionV2', ratio=16),
        warm_start: bool = True,
        deploy: bool = False,
        compile_blocks: Union[bool, dict] = False,
        **kwargs,
    ):
        if isinstance(arch, str):
            arch = arch.lower()  # as upstream
        check_arch(self, arch, self.arch_zoo, described=True)
        super().__init__(arch, *args, **kwargs)
        self.bridge_blocks(
            SwinBlock, BASwinBlock, attention, dict(type='LN'), warm_start
        )
        self._freeze_stages()
        self.take_form(deploy, compile_blocks)

    def to_own(self, found):
        """Names and order of the official code and of torchvision.

        Both join the four pixels of a patch one by one, mmpretrain channel by
        channel. Which pixel a bias belongs to is no weight: always the own.
        """
        ours = rename(found, TORCHVISION + OFFICIAL)
        found = {
            ours[name]: _by_channel(value)
            if ours[name] != name and '.downsample.' in ours[name]
            else value
            for name, value in found.items()
            if not name.endswith(('attn_mask', INDEX))
        }
        for name, own in tensors_of(self).items():
            table = found.get(name.replace(INDEX, TABLE))
            if INDEX in name and table is not None:
                found[name] = _index(own)
            elif TABLE in name and table is not None:
                found[name] = _resize(table, own)
        if self.use_abs_pos_embed:
            self._prepare_abs_pos_embed(found, '')
        return found

    def _freeze_stages(self):
        stages = self.frozen_stages
        check_frozen(stages, -1, self.num_layers, 'all stages')
        # Upstream counts from 0; mmdet and mmseg from 1, so that their
        # largest number, all stages, is one more.
        self.frozen_stages = min(stages, self.num_layers - 1)
        try:
            super()._freeze_stages()
        finally:
            self.frozen_stages = stages


def _index(own):
    """``own``, or the same again where there is no memory yet."""
    if not own.is_meta:
        return own
    side = math.isqrt(len(own))
    return WindowMSA(1, (side, side), 1).relative_position_index


def _by_channel(value):
    """Order (..., 4 C) by channel, then row, then column of the pixel.

    Theirs is by column, then row, then channel.
    """
    *rest, width = value.shape
    pixels = value.reshape(*rest, 2, 2, width // 4)
    order = range(len(rest))
    columns, rows, channels = (len(rest) + i for i in range(3))
    return pixels.permute(*order, channels, rows, columns).reshape(value.shape)


def _resize(table, own):
    """Biases of another window size, (pairs, heads), as the official code's.

    Upstream's own function calls one that SciPy 1.14 has removed.
    """
    (pairs, heads), (own_pairs, own_heads) = table.shape, own.shape
    if pairs == own_pairs or heads != own_heads:
        return table
    side, own_side = math.isqrt(pairs), math.isqrt(own_pairs)
    grid = table.T.reshape(1, heads, side, side)
    grid = F.interpolate(grid, (own_side, own_side), mode='bicubic')
    return grid.reshape(heads, own_pairs).T.contiguous()
