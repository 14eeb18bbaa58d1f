"""What every attention of a block is: pooled vectors in, gate out."""

import torch
from mmengine.model import BaseModule
from torch import nn, Tensor

from .warm_start import tensors_of


class Gate(BaseModule):
    """Base of the attentions; the modules know vectors only, no maps.

    A subclass has ``gate``, the activation that makes the gate, and before it
    one layer, whose name :attr:`gate_maker` is.
    """

    gate_maker = 'generation'
    gated_alone = False
    """Whether the gated feature alone is pooled, and no other."""
    gate: nn.Module

    def init_weights(self):
        """Initialise as PyTorch does, if ``init_cfg`` says nothing else.

        Also where the ``init_cfg`` of the whole network has said something
        about all Linear layers or convs.
        """
        if not self.init_cfg:
            self.reset_parameters()
        super().init_weights()

    def reset_parameters(self) -> None:
        """Draw the layers' values anew, as PyTorch does."""
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Conv1d)):
                module.reset_parameters()

    def neutral(self) -> tuple[dict[str, Tensor], float]:
        """The state in which the gate is the same for every image.

        Returns:
            tuple: State dict, the present one but for the last layer, which
            is zero, and the value of the gate with it: 1/2 with the sigmoid.
        """
        state = {
            name: torch.zeros_like(value)
            if name.startswith(f'{self.gate_maker}.')
            else value
            for name, value in tensors_of(self).items()
        }
        return state, self.gate(torch.zeros(1)).item()


def hidden_width(channels: int, ratio: int) -> int:
    """Width C // r between an attention's two layers.

    Raises:
        ValueError: ``ratio`` leaves no hidden channel.
    """
    if not isinstance(ratio, int) or ratio < 1:
        raise ValueError(
            f'ratio {ratio!r} is no whole number from 1 to {channels}; '
            'the paper takes 16.'
        )
    if ratio > channels:
        raise ValueError(
            f'ratio {ratio} leaves no hidden channel of '
            f'{channels} channels; use at most {channels}.'
        )
    return channels // ratio
