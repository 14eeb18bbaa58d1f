"""Weights without attention give exactly the plain block: the warm start."""

import copy
from collections.abc import Collection, Iterable
from typing import Optional

import torch
from torch import nn, Tensor

# What wrappers add to the names of modules and take out of state dicts:
# activation checkpointing, FSDP.
WRAPPED = '_checkpoint_wrapped_module.', '_fsdp_wrapped_module.'
# A block's version in the metadata of state dicts, where others have 1: its
# attention learned while its stage was frozen.
LEARNS = 2


def clean_name(name: str) -> str:
    """A module's or tensor's name as it stands in state dicts."""
    for wrapped in WRAPPED:
        name = name.replace(wrapped, '')
    return name


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """What the state dict of ``module`` holds, by name.

    Without a call of ``state_dict``, whose hooks may gather or drop tensors.
    """
    found: dict[str, Tensor] = {}
    for name, part in module.named_modules(remove_duplicate=False):
        prefix = clean_name(f'{name}.') if name else ''
        inner = {**part._parameters, **part._buffers}
        found.update(
            (prefix + key, tensor)
            for key, tensor in inner.items()
            if tensor is not None
            and key not in part._non_persistent_buffers_set
        )
    return found


def is_untrained(attention: nn.Module) -> bool:
    """Whether nothing would be lost with the attention's values.

    Its norms and biases are as they were built, or its gate is the same for
    all images. An attention without norms and biases, as ECA, has a method
    of this name which says so.
    """
    own = tensors_of(attention)
    last = own.get(f'{getattr(attention, "gate_maker", "generation")}.weight')
    if last is not None and _equals(last, 0):
        return True
    own_way = getattr(attention, 'is_untrained', None)
    if callable(own_way):
        return bool(own_way())
    start = dict(weight=1, bias=0, running_mean=0, running_var=1)
    return all(
        _equals(tensor, start[part])
        for name, tensor in own.items()
        for path, _, part in [name.rpartition('.')]
        if ('norm' in path and part in start)
        or (path in ('squeeze', 'generation') and part == 'bias')
    )


def _equals(tensor, value):
    if tensor.is_meta:
        return True
    if hasattr(tensor, 'full_tensor'):  # sharded: all processes must agree
        tensor = tensor.full_tensor()
    return bool((tensor == value).all())


def materialised(attention: nn.Module, device: torch.device) -> nn.Module:
    """A copy with initial values where ``attention`` has meta tensors."""
    copied = copy.deepcopy(attention).to_empty(device=device)
    # From within: a module may correct what its parts do.
    for part in reversed(list(copied.modules())):
        reset = getattr(part, 'reset_parameters', None)
        if reset is not None:
            reset()
    return copied


class WarmStart(nn.Module):
    """Block whose attention starts as one half where weights lack it.

    Attributes:
        warm_start (bool): Whether it does.
        replaced (str | None): Name of the plain block's own attention that
            stood in this one's place.
        attention_loaded (bool): Whether the attention's weights came in.
    """

    warm_start: bool
    attention: Optional[nn.Module]
    replaced: Optional[str] = None
    attention_loaded: bool = False
    gated_parts: tuple[str, ...] = ('weight', 'bias')  # of gated_layer

    @property
    def gated_layer(self) -> str:
        """Name of the layer whose ``gated_parts`` scale what is gated.

        Empty in a block without attention.
        """
        return ''

    @property
    def learns_frozen(self) -> bool:
        """Whether the attention is trained in a frozen stage, too.

        In the place of another one plain weights leave it at its initial
        values: it has to learn, also when that training is resumed.
        """
        return self.replaced is not None and (
            not self.attention_loaded or self._version == LEARNS
        )

    @property
    def is_frozen(self) -> bool:
        """Whether the rest of the block learns nothing."""
        return not any(
            parameter.requires_grad
            for name, parameter in self.named_parameters()
            if not name.startswith('attention.')
        )

    def mark_frozen(self, frozen: bool) -> None:
        """Note, for checkpoints, whether it learns in a frozen stage."""
        self._version = LEARNS if frozen else 1

    def takes_warm_start(self, names: Collection[str], prefix: str) -> bool:
        """Whether weights of these names start this block's attention.

        They do if they hold the whole block, a weight of what scales the
        gated feature with it, but no part of the attention:
        then W_g becomes zero, so that the gate is sigmoid(0) = 1/2 for every
        image, and what scales the gated feature is doubled. The
        block computes what the plain one does, to the last digit, and learns
        from there. An attention without a ``neutral`` method, such as a
        user's own, keeps its values; so does one in the place of another
        attention (``replaced``), where no gate equals the plain block.

        Args:
            names (Collection[str]): Names of the weights that come in.
            prefix (str): Of this block's names in them.
        """
        return (
            self.warm_start
            and self.replaced is None
            and hasattr(self.attention, 'neutral')
            and self._is_whole(names, prefix)
            and f'{prefix}{self.gated_layer}.weight' in names
            and not holds_attention(names, prefix)
        )

    def loses_attention(self, names: Collection[str], prefix: str) -> bool:
        """Whether a warm start would take the place of learned values."""
        return (
            self.attention is not None
            and self.takes_warm_start(names, prefix)
            and not (
                is_untrained(self.attention) and not self.attention_loaded
            )
        )

    def _is_whole(self, names, prefix):
        return all(
            prefix + name in names
            for name in tensors_of(self)
            if not name.startswith('attention.')
            and not name.endswith('num_batches_tracked')
        )

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
        if holds_attention(state_dict, prefix):
            self.attention_loaded = True
            self._version = local_metadata.get('version', 1)
        elif self.takes_warm_start(state_dict, prefix):
            self._start(state_dict, prefix)
            self.attention_loaded = False
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, *args
        )

    def _start(self, state_dict, prefix):
        """Add the neutral attention to the block's weights."""
        attention = self.attention
        if any(t.is_meta for t in tensors_of(attention).values()):
            weight = state_dict[f'{prefix}{self.gated_layer}.weight']
            attention = materialised(attention, weight.device)
        state, gate = attention.neutral()
        if gate == 0:
            raise ValueError(
                f'{type(attention).__name__} closes its gate where '
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


def holds_attention(names: Iterable[str], prefix: str) -> bool:
    """Whether they name a part of the attention of the block ``prefix``."""
    return any(name.startswith(f'{prefix}attention.') for name in names)
