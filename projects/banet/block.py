"""Which features of a residual block are bridged, and where the gate acts."""

from collections.abc import Container
from typing import Optional

import torch
import torch.nn.functional as F
import torch.utils.checkpoint as cp
from mmcv.cnn import fuse_conv_bn
from mmengine.registry import MODELS
from torch import nn, Tensor

from .deploy import check_foldable, fold, FoldedAttention, is_pointwise
from .norm import affine_on, has_hooks, is_affine_here, is_fixed
from .ops import gated_add, gated_norm_add, plain_only, spatial_mean


def build_attention(
    cfg: dict, in_channels, channels: int, norm_cfg: dict
) -> nn.Module:
    """Build the attention module that ``cfg`` names.

    The registered module is called with ``in_channels``, ``channels`` and
    ``norm_cfg`` besides the arguments in ``cfg``, which win over ``norm_cfg``.

    Raises:
        TypeError: ``cfg`` is not a dict with a ``type``.
        KeyError: The ``type`` is not registered (from the registry).
    """
    if not (isinstance(cfg, dict) and 'type' in cfg):
        raise TypeError(
            f'attention={cfg!r} must be a dict with a type, such as '
            "dict(type='BridgeAttentionV2', ratio=16), or None for the plain "
            'residual block.'
        )
    # The attention is never pretrained: where the backbone's norms are frozen,
    # an inherited requires_grad=False would freeze it at its initial values.
    norm_cfg = {k: v for k, v in norm_cfg.items() if k != 'requires_grad'}
    return MODELS.build(
        dict(cfg),
        default_args=dict(
            in_channels=in_channels, channels=channels, norm_cfg=norm_cfg
        ),
    )


def _through(conv, vectors):
    """A pointwise ``conv`` on (N, C_in) vectors instead of maps."""
    return F.linear(vectors, conv.weight.flatten(1), conv.bias)


class BridgeMixin:
    """Residual block whose conv outputs all take part in one gate.

    Put it before a block of mmpretrain that has ``conv1, norm1, conv2, ...``,
    ``relu``, ``downsample`` and ``drop_path``::

        class BABottleneck(BridgeMixin, Bottleneck):
            num_convs = 3

    With the conv outputs F_1..F_n (after norm and ReLU, the last one after
    norm only) and g_i = mean of F_i over height and width, the block computes
    ReLU(shortcut(x) + attention([g_1, ..., g_n]) * F_n).

    Args:
        attention (dict | None): Config of a registered module that maps the
            list of g_i, (N, C_i), to a gate (N, C, 1, 1). It is built with
            ``in_channels``, ``channels`` and ``norm_cfg`` (the block's own)
            besides what the dict says. None gives the plain block.
        warm_start (bool): Make weights that lack this block's attention give
            exactly the plain block, see :meth:`takes_warm_start`.
            Defaults to True.
        *args, **kwargs: Arguments of the block. ``with_cp`` runs the forward
            pass twice, so norms that train update their running statistics
            twice per step, as upstream's do.
    """

    num_convs: int

    def __init__(
        self,
        *args,
        attention: Optional[dict],
        warm_start: bool = True,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        self.warm_start = warm_start
        self.deploy = False  # whether norms are fused and attention folded
        self.folded = False  # whether all of them could be
        # The widths are those of the convs just built: subclasses such as
        # ResNeXt's change them.
        widths = [conv.out_channels for conv, _ in self._layers()]
        self.attention = (
            None
            if attention is None
            else build_attention(attention, widths, widths[-1], self.norm_cfg)
        )

    def _layers(self):
        """The block's (conv, norm) pairs in order."""
        return [
            (getattr(self, f'conv{i}'), getattr(self, f'norm{i}'))
            for i in range(1, self.num_convs + 1)
        ]

    def switch_to_deploy(self) -> None:
        """Take the exact inference form, which computes what eval mode does.

        Norms are fused into their convs, and the attention's linear parts
        folded, see :mod:`banet.deploy`. There is no way back.

        Raises:
            ValueError: A batch norm has no running statistics or weights.
        """
        if self.deploy:
            return
        check_foldable(self)
        # Aside, for mmcv would fuse what follows each other in it, too.
        attention, self.attention = self.attention, None
        fuse_conv_bn(self)
        convs, norms = zip(*self._layers())
        fused = all(isinstance(norm, nn.Identity) for norm in norms)
        exact = fused and is_pointwise(convs[-1])
        self.attention = fold(attention, convs[-1] if exact else None)
        self.folded = fused and isinstance(self.attention, FoldedAttention)
        self.deploy = True

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) -> (N, C, H / stride, W / stride)."""
        if self.deploy and self.training:
            raise RuntimeError(
                'the deploy form has no norms to train: call .eval(), or '
                'build the model without deploy=True.'
            )
        forward = self._forward_folded if self.folded else self._forward
        if self.with_cp and torch.is_grad_enabled():
            # Non-reentrant: it also serves inputs that need no gradient, as
            # those behind frozen stages.
            out = cp.checkpoint(forward, x, use_reentrant=False)
        else:
            out = forward(x)
        return self.relu(out)

    def _forward_folded(self, x):
        """:meth:`_forward` without norms, with as few calls as possible.

        At a batch of one, calls cost more than what they calculate.
        """
        *inner, last = (
            getattr(self, f'conv{i}') for i in range(1, self.num_convs + 1)
        )
        out, pooled = x, []
        for conv in inner:
            out = self.relu(conv(out))
            pooled.append(spatial_mean(out))
        shortcut = x if self.downsample is None else self.downsample(x)
        out = last(out)
        if len(self.attention.in_channels) > len(inner):
            pooled.append(spatial_mean(out))
        return gated_add(shortcut, self.attention(pooled).to(out.dtype), out)

    def _forward(self, x):
        *inner, (conv, norm) = self._layers()
        out, pooled = x, []
        for inner_conv, inner_norm in inner:
            out = self.relu(inner_norm(inner_conv(out)))
            if self.attention is not None:
                pooled.append(spatial_mean(out))
        y = conv(out)
        shortcut = x if self.downsample is None else self.downsample(x)
        if self.attention is None:
            out = self.drop_path(norm(y))
            out += shortcut
            return out
        if self._gates_inside(norm, y):
            means = (
                _through(conv, pooled[-1])
                if is_pointwise(conv) and not has_hooks(conv)
                else spatial_mean(y)
            )
            scale, shift, y, out = affine_on(norm, y, means)
            pooled.append(scale * means + shift)
            gate = self._gate(pooled, y).flatten(1)
            return gated_norm_add(shortcut, gate, scale, shift, y, out)
        out = norm(y)
        if self._skips_last_map(conv, norm):
            means = _through(conv, pooled[-1])
            pooled.append(norm(means[:, :, None, None]).flatten(1))
        else:
            pooled.append(spatial_mean(out))
        return gated_add(shortcut, self._gate(pooled, out), out)

    def _gates_inside(self, norm, y):
        """Whether the gate is multiplied into the norm's affine map.

        The same numbers and gradients, but the backward pass needs only y:
        norm(y) is not kept, and its memory takes the result. Only while
        training: gradients in eval mode stay those of the plain path.
        """
        return (
            self.training
            and y.requires_grad
            and torch.is_grad_enabled()
            and not plain_only()
            and is_affine_here(norm, y)
        )

    def _skips_last_map(self, conv, norm):
        """Whether mean(norm(conv(x))) is taken as norm(conv(mean(x))).

        The same numbers, without reading and, in the backward pass, writing
        the widest map: where a training runs with its norms in eval mode.
        Plain inference stays the paper's, operation by operation; its fast
        form is the deploy form.
        """
        return (
            (self.deploy or self.training)
            and is_fixed(norm)
            and is_pointwise(conv)
            and not has_hooks(conv, norm)
        )

    def _gate(self, pooled, out):
        gate = self.attention(pooled)
        expected = (*out.shape[:2], 1, 1)
        # A tracer's sizes are tensors: comparing them would only warn.
        if not torch.jit.is_tracing() and gate.shape != expected:
            raise ValueError(
                f'{type(self.attention).__name__} returned a gate of shape '
                f'{tuple(gate.shape)}; a block needs (N, C, 1, 1) = '
                f'{tuple(expected)}.'
            )
        # Dropping a path is a factor per sample: cheaper on the gate.
        return self.drop_path(gate).to(out.dtype)

    def takes_warm_start(self, names: Container[str], prefix: str) -> bool:
        """Whether weights of these names start this block's attention.

        They do if they hold the block but no part of its attention: then
        W_g becomes zero, so that the gate is sigmoid(0) = 1/2 for every
        image, and the last norm's weight and bias are doubled. The block
        computes what the plain one does, to the last digit, and learns from
        there. An attention without a ``neutral`` method, such as a user's
        own, keeps its values.

        Args:
            names (Container[str]): Names of the weights that come in.
            prefix (str): Of this block's names in them.
        """
        return (
            self.warm_start
            and hasattr(self.attention, 'neutral')
            and f'{prefix}{self._last_norm()}.weight' in names
            and not any(n.startswith(f'{prefix}attention.') for n in names)
        )

    def _last_norm(self):
        return getattr(self, f'norm{self.num_convs}_name')

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
            for part in ('weight', 'bias'):
                name = f'{prefix}{self._last_norm()}.{part}'
                state_dict[name] = state_dict[name] / gate
        super()._load_from_state_dict(state_dict, prefix, *args)
