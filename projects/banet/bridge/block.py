"""The contract of a block with bridge attention: one gate, many features."""

from collections.abc import Container, Iterator
from typing import Optional

import torch
import torch.nn.functional as F
import torch.utils.checkpoint as cp
from mmcv.cnn import fuse_conv_bn
from mmengine.registry import MODELS
from torch import nn, Tensor

from .deploy import check_foldable, fold, FoldedAttention, is_pointwise
from .norm import has_hooks
from .ops import spatial_mean


def build_attention(
    cfg: dict, in_channels, channels: int, norm_cfg: dict
) -> nn.Module:
    """Build the attention module that ``cfg`` names.

    The registered module is called with ``in_channels``, ``channels`` and
    ``norm_cfg`` besides the arguments in ``cfg``, which win over ``norm_cfg``.

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
    if norm_cfg is None and 'norm_cfg' not in cfg:
        raise ValueError(
            'norm_cfg=None leaves the attention without a norm: give it one '
            "of its own, attention=dict(..., norm_cfg=dict(type='LN'))."
        )
    # The attention is never pretrained: where the backbone's norms are frozen,
    # an inherited requires_grad=False would freeze it at its initial values.
    norm_cfg = dict(norm_cfg or {})
    norm_cfg.pop('requires_grad', None)
    return MODELS.build(
        dict(cfg),
        default_args=dict(
            in_channels=in_channels, channels=channels, norm_cfg=norm_cfg
        ),
    )


def through(layer: nn.Module, vectors: Tensor) -> Tensor:
    """A Linear or pointwise conv on (N, C_in) vectors: it is the same."""
    return F.linear(vectors, layer.weight.flatten(1), layer.bias)


def goes_through(layer: nn.Module) -> bool:
    """Whether :func:`through` gives the mean of what ``layer`` gives."""
    return is_pointwise(layer) and not has_hooks(layer)


class BridgeMixin:
    """Residual block with one gate, over all the features that it bridges.

    Put it before a block of mmpretrain. A subclass says which features are
    bridged, :meth:`bridged_widths`, where the gate acts,
    :attr:`gated_layer`, and how the block calculates, :meth:`_forward`.

    Args:
        attention (dict | None): Config of a registered module that maps the
            list of pooled features g_i, (N, C_i), to a gate (N, C, 1, 1). It
            is built with ``in_channels``, ``channels`` and ``norm_cfg`` (the
            block's own) besides what the dict says. None gives the plain
            block.
        warm_start (bool): Make weights that lack this block's attention give
            exactly the plain block, see :meth:`takes_warm_start`.
            Defaults to True.
        *args, **kwargs: Arguments of the block. ``with_cp`` runs the forward
            pass twice, so norms that train update their running statistics
            twice per step, as upstream's do.

    Attributes:
        replaced (str | None): Name of the plain block's own attention that
            stood in this one's place.
    """

    replaced: Optional[str] = None
    gated_parts = 'weight', 'bias'  # of gated_layer

    def __init__(
        self,
        *args,
        attention: Optional[dict],
        warm_start: bool = True,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        self.bridge(attention, self.norm_cfg, warm_start)

    @classmethod
    def adopt(cls, block, attention, norm_cfg, warm_start=True) -> None:
        """Make a plain block, already built, one of this class.

        For the networks of mmpretrain that name their block inside of a
        constructor: a subclass would have to repeat all of it. Nothing but
        methods and the attention is added.
        """
        block.__class__ = cls
        block.bridge(attention, norm_cfg, warm_start)

    def bridge(self, attention, norm_cfg, warm_start=True) -> None:
        """Add the attention; see the class for the arguments."""
        self.warm_start = warm_start
        self.deploy = False  # whether norms are fused and attention folded
        self.folded = False  # whether all of them could be
        # The widths are those of the layers just built: subclasses such as
        # ResNeXt's change them.
        widths = self.bridged_widths()
        self.attention = (
            None
            if attention is None or not widths
            else build_attention(attention, widths, widths[-1], norm_cfg)
        )

    def bridged_widths(self) -> list[int]:
        """Widths C_1..C_n of the bridged features; the last one is gated.

        An empty list: this block has no attention.
        """
        raise NotImplementedError

    @property
    def gated_layer(self) -> str:
        """Name of the layer whose ``gated_parts`` scale what is gated."""
        raise NotImplementedError

    def _forward(self, x, *args):
        """The block, where necessary up to its last activation."""
        raise NotImplementedError

    def _last_layer(self) -> Optional[nn.Module]:
        """The layer whose output is the last feature, its norm fused.

        If it is pointwise, the last pooled feature is calculated through it.
        None if there is none.
        """
        return None

    def _pool_last(self, pooled, out):
        """Add the mean of ``out``, (N, C, H, W), which the last layer gave.

        Through that layer while training; a folded attention holds it.
        """
        last = self._last_layer()
        if not (self.folded and is_pointwise(last)):
            pooled.append(
                through(last, pooled[-1])
                if self.training and goes_through(last)
                else spatial_mean(out)
            )

    def switch_to_deploy(self) -> None:
        """Take the exact inference form, which computes what eval mode does.

        Norms are fused into their convs, and the attention's linear parts
        folded, see :mod:`banet.bridge.deploy`. There is no way back.

        Raises:
            ValueError: A batch norm has no running statistics or weights.
        """
        if self.deploy:
            return
        check_foldable(self)
        # Aside, for mmcv would fuse what follows each other in it, too.
        attention, self.attention = self.attention, None
        fuse_conv_bn(self)
        last = self._last_layer()
        pointwise = last is not None and is_pointwise(last)
        self.attention = fold(attention, last if pointwise else None)
        self.folded = isinstance(self.attention, FoldedAttention)
        self.deploy = True

    def forward(self, x: Tensor, *args) -> Tensor:
        """Arguments and result are those of the plain block."""
        if self.deploy and self.training:
            raise RuntimeError(
                'the deploy form has no norms to train: call .eval(), or '
                'build the model without deploy=True.'
            )
        if self.with_cp and torch.is_grad_enabled():
            # Non-reentrant: it also serves inputs that need no gradient, as
            # those behind frozen stages.
            return cp.checkpoint(self._forward, x, *args, use_reentrant=False)
        return self._forward(x, *args)

    def _gate(self, pooled, out, scale=None):
        """The gate for ``out``, (N, C, H, W), times ``scale``, (C,)."""
        gate = self.attention(pooled)
        expected = (*out.shape[:2], 1, 1)
        # A tracer's sizes are tensors: comparing them would only warn.
        if not torch.jit.is_tracing() and gate.shape != expected:
            raise ValueError(
                f'{type(self.attention).__name__} returned a gate of shape '
                f'{tuple(gate.shape)}; a block needs (N, C, 1, 1) = '
                f'{tuple(expected)}.'
            )
        if scale is not None:
            # In its own precision, as the plain block's layer scale.
            return gate * scale[:, None, None]
        return gate.to(out.dtype)

    def takes_warm_start(self, names: Container[str], prefix: str) -> bool:
        """Whether weights of these names start this block's attention.

        They do if they hold the block but no part of its attention: then
        W_g becomes zero, so that the gate is sigmoid(0) = 1/2 for every
        image, and what scales the gated feature is doubled. The
        block computes what the plain one does, to the last digit, and learns
        from there. An attention without a ``neutral`` method, such as a
        user's own, keeps its values; so does one in the place of another
        attention (``replaced``), where no gate equals the plain block.

        Args:
            names (Container[str]): Names of the weights that come in.
            prefix (str): Of this block's names in them.
        """
        return (
            self.warm_start
            and self.replaced is None
            and hasattr(self.attention, 'neutral')
            and f'{prefix}{self.gated_layer}.weight' in names
            and not any(n.startswith(f'{prefix}attention.') for n in names)
        )

    def _load_from_state_dict(self, state_dict, prefix, *args):
        if self.takes_warm_start(state_dict, prefix):
            state, gate = self.attention.neutral()
            if gate == 0:
                raise ValueError(
                    f'{type(self.attention).__name__} closes its gate where '
                    'W_g is zero: no warm start is possible. Set '
                    'warm_start=False or a gate_cfg such as Sigmoid.'
                )
            # New entries and new tensors: the caller's stay as they are.
            for name, value in state.items():
                state_dict[f'{prefix}attention.{name}'] = value
            for part in self.gated_parts:
                name = f'{prefix}{self.gated_layer}.{part}'
                if name in state_dict:
                    state_dict[name] = state_dict[name] / gate
        super()._load_from_state_dict(state_dict, prefix, *args)


def bridges(model: nn.Module) -> Iterator[tuple[str, str, nn.Module]]:
    """Stage, name and attention of every block that has one, in order."""
    backbone = getattr(model, 'backbone', model)
    for name, block in backbone.named_modules():
        if isinstance(block, BridgeMixin) and block.attention is not None:
            yield stage_of(name), name, block.attention


def stage_of(block: str) -> str:
    """Name of the stage in which a block of that name stands.

    ``layer1.0`` is in ``layer1``, ``stages.2.blocks.3`` in ``stages.2``; what
    stands in no stage, as MobileNetV3's blocks, in ``backbone``.
    """
    return block.rpartition('.')[0].removesuffix('.blocks') or 'backbone'
