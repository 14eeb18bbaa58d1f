"""The contract of a block with bridge attention: one gate, many features."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Optional

import torch
import torch.nn.functional as F
import torch.utils.checkpoint as cp
from mmcv.cnn import fuse_conv_bn
from torch import nn, Tensor

from .build import build_attention
from .compiled import compiled
from .deploy import (
    check_foldable,
    fold,
    FoldedAttention,
    is_pointwise,
    Pointwise,
)
from .ops import HALF, is_symbolic, plain_only, spatial_mean
from .warm_start import WarmStart
from .watch import is_hooked, is_unwatched


def through(layer: Pointwise, vectors: Tensor, out: Tensor) -> Tensor:
    """Mean of ``out`` from that of what ``layer`` made it of.

    A Linear or pointwise conv does to (N, C_in) ``vectors`` what it does to a
    map. In their precision, also under autocast: they are statistics.
    """
    weight = layer.weight.flatten(1).to(vectors.dtype)
    bias = None if layer.bias is None else layer.bias.to(vectors.dtype)
    if out.dtype not in HALF:
        return F.linear(vectors, weight, bias)
    with torch.autocast(out.device.type, enabled=False):
        return F.linear(vectors, weight, bias)


class BridgeMixin(WarmStart):
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
        *args: Arguments of the block.
        **kwargs: The same by name. ``with_cp`` runs the forward pass twice,
            so norms that train update their running statistics twice per
            step, as upstream's do.
    """

    norm_cfg: dict
    with_cp: bool

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
        self.folded = False  # whether the attention could be
        # Arguments of torch.compile, if the block is to be compiled.
        self.compile_options: Optional[dict] = None
        # The widths are those of the layers just built: subclasses such as
        # ResNeXt's change them.
        widths = self.bridged_widths()
        self.attention = (
            None
            if attention is None or not widths
            else build_attention(attention, widths, widths[-1], norm_cfg)
        )
        # Whether it looks at no feature but the gated one.
        self.gated_alone = getattr(self.attention, 'gated_alone', False)

    def bridged_widths(self) -> list[int]:
        """Widths C_1..C_n of the bridged features; the last one is gated.

        An empty list: this block has no attention.
        """
        raise NotImplementedError

    def _forward(self, x, *args):
        """What the block computes.

        The last argument says whether nobody looks at the calls of
        :meth:`_skipped_layers`.
        """
        raise NotImplementedError

    def _skipped_layers(self) -> Iterable[nn.Module]:
        """Layers whose calls a faster form leaves out or writes into."""
        last = self._last_layer()
        return [] if last is None else [last]

    def _last_layer(self) -> Optional[nn.Module]:
        """The layer whose output is the last feature, its norm fused.

        If it is pointwise, the last pooled feature is calculated through it.
        None if there is none.
        """
        return None

    def _goes_through(self, unwatched):
        """Whether the last feature is pooled through :meth:`_last_layer`.

        While training, and in a folded attention, which may hold that layer.
        """
        if self.folded:
            return self.folded_through
        return self.training and unwatched and is_pointwise(self._last_layer())

    def _pools(self, behind, through_last):
        """Whether a feature with so many ``behind`` it has to be pooled."""
        return not self.gated_alone or behind <= through_last

    def _pool_last(self, pooled, out, through_last):
        """Add the mean of ``out``, (N, C, H, W), which the last layer gave."""
        if self.folded and through_last:
            return
        pooled.append(
            through(self._last_layer(), pooled[-1], out)
            if through_last
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
        if attention is not None:
            self.attention = fold(
                attention, last if is_pointwise(last) else None
            )
        self.folded = isinstance(self.attention, FoldedAttention)
        # By and by the layer may become another, such as a quantised one.
        self.folded_through = self.folded and is_pointwise(last)
        self.deploy = True

    def forward(self, x: Tensor, *args) -> Tensor:
        """Arguments and result are those of the plain block."""
        if self.deploy and self.training:
            raise RuntimeError(
                'the deploy form has no norms to train: call .eval(), or '
                'build the model without deploy=True.'
            )
        # Once per forward pass: a recomputation must take the same way. The
        # plain block skips nothing, so that nobody need be looked for.
        unwatched = (
            self.attention is not None
            and not is_symbolic(x)
            and is_unwatched(*self._skipped_layers())
        )
        run = self._form(x)
        if self.with_cp and torch.is_grad_enabled() and not is_symbolic(x):
            # Non-reentrant: it also serves inputs that need no gradient, as
            # those behind frozen stages.
            return cp.checkpoint(run, x, *args, unwatched, use_reentrant=False)
        return run(x, *args, unwatched)

    def _form(self, x):
        """:meth:`_forward`, compiled if that was asked for and nobody sees.

        Other compilers and exporters take the block as it is, and so do hooks
        within it, which a compiled graph would pass by.
        """
        if (
            self.compile_options is None
            or self.deploy
            or plain_only(x)
            or is_hooked(*self.modules())
        ):
            return self._forward
        function = compiled(type(self)._forward, self.compile_options)
        return partial(function, self)

    def _gate(self, pooled, out, scale=None):
        """The gate for ``out``, (N, C, H, W), times ``scale``, (C,)."""
        if self.gated_alone:
            pooled = pooled[-1:]
        if not is_symbolic(out):  # a tracer's stand-ins have no dtype
            pooled = [vector.to(out.dtype) for vector in pooled]
        gate = self.attention(pooled)
        if not is_symbolic(out) and gate.shape != (*out.shape[:2], 1, 1):
            raise ValueError(
                f'{type(self.attention).__name__} returned a gate of shape '
                f'{tuple(gate.shape)}; a block needs (N, C, 1, 1) = '
                f'{(*out.shape[:2], 1, 1)}.'
            )
        if scale is not None:
            # In its own precision, as the plain block's layer scale.
            return gate * scale[:, None, None]
        return gate.to(out.dtype)


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
