"""Which features of a residual block are bridged, and where the gate acts."""

from collections.abc import Container
from typing import Optional

import torch
import torch.utils.checkpoint as cp
from mmengine.registry import MODELS
from torch import nn, Tensor


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

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) -> (N, C, H / stride, W / stride)."""
        if self.with_cp and torch.is_grad_enabled():
            # Non-reentrant: it also serves inputs that need no gradient, as
            # those behind frozen stages.
            out = cp.checkpoint(self._forward, x, use_reentrant=False)
        else:
            out = self._forward(x)
        return self.relu(out)

    def _forward(self, x):
        out, pooled = x, []
        for i, (conv, norm) in enumerate(self._layers(), start=1):
            out = norm(conv(out))
            if i < self.num_convs:
                out = self.relu(out)
            if self.attention is not None:
                pooled.append(out.mean((2, 3)))
        shortcut = x if self.downsample is None else self.downsample(x)
        if self.attention is None:
            return self.drop_path(out) + shortcut
        # Dropping a path is a factor per sample: cheaper on the gate.
        return self.drop_path(self._gate(pooled)) * out + shortcut

    def _gate(self, pooled):
        gate = self.attention(pooled)
        expected = (*pooled[-1].shape, 1, 1)
        # A tracer's sizes are tensors: comparing them would only warn.
        if not torch.jit.is_tracing() and gate.shape != expected:
            raise ValueError(
                f'{type(self.attention).__name__} returned a gate of shape '
                f'{tuple(gate.shape)}; a block needs (N, C, 1, 1) = '
                f'{tuple(expected)}.'
            )
        return gate

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
