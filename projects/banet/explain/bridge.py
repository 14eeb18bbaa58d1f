"""What the bridges of a network have learned, and how they gate images."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from torch import nn

from ..bridge.attention import BridgeAttention
from ..bridge.block import bridges, stage_of
from ..bridge.deploy import FoldedAttention
from ..utils.errors import BanetError


class BridgeError(BanetError):
    """Why there is no bridge to look at, with the remedy."""


@dataclass(frozen=True)
class Selection:
    """How much a block's bridge listens to one of its features.

    Attributes:
        stage (str): Name of the stage in the backbone.
        block (str): Name of the block in the backbone.
        feature (int): From 1; the last one is the one that is gated, or
            stands nearest to it.
        a (float): Selection weight a_i of BAv2; NaN in BAv1, which has none.
        norm (float): Frobenius norm of W_i.
        effective (float): \\|a_i\\| times that norm; in BAv1 the Frobenius
            norm of W_i with its own batch norm multiplied in.
    """

    stage: str
    block: str
    feature: int
    a: float
    norm: float
    effective: float


def selection(model: nn.Module) -> list[Selection]:
    """The selection weights of all blocks.

    Raises:
        BridgeError: No block has bridge attention of this package's, or it
            is folded.
    """
    rows = [
        row
        for stage, name, attention in bridges(model)
        if isinstance(attention, BridgeAttention)
        for row in _selection(stage, name, attention)
    ]
    if rows:
        return rows
    kinds = sorted({type(a).__name__ for _, _, a in bridges(model)})
    if FoldedAttention.__name__ in kinds:
        raise BridgeError(
            'the bridges are folded (the deploy form), in which a_i and W_i '
            'are one: take the checkpoint before tools/deploy.py.'
        )
    backbone = type(getattr(model, 'backbone', model)).__name__
    raise BridgeError(
        f'{backbone} has no bridge attention to look at'
        + (f', but {", ".join(kinds)}' if kinds else '')
        + ': name the config of a network such as BAResNet.'
    )


def has_selection(model: nn.Module) -> bool:
    """Whether a block has an attention that joins several features."""
    return any(isinstance(a, BridgeAttention) for _, _, a in bridges(model))


def _selection(stage, name, attention):
    norms = [r.weight.detach().norm().item() for r in attention.reductions]
    if hasattr(attention, 'selection'):
        chosen = attention.selection.weight.detach()[0].tolist()
        effective = [abs(a) * norm for a, norm in zip(chosen, norms)]
    else:
        chosen = [float('nan')] * len(norms)
        terms = attention.linear_terms()
        effective = (
            chosen if terms is None else [m.norm().item() for m in terms[0]]
        )
    for i, values in enumerate(zip(chosen, norms, effective), 1):
        yield Selection(stage, name, i, *values)


class Gates(dict):
    """Gates by block, each (images, C), in the order of the images."""

    def blocks_by_stage(self) -> dict[str, list[str]]:
        """Names of the blocks of every stage."""
        stages = defaultdict(list)
        for name in self:
            stages[stage_of(name)].append(name)
        return dict(stages)


@contextmanager
def record_gates(model: nn.Module) -> Iterator[Gates]:
    """Collect the gates of all images that pass within the context.

    Yields:
        Gates: Filled when the context ends.

    Raises:
        BridgeError: No block has an attention.
    """
    parts, hooks = defaultdict(list), []
    for _, name, attention in bridges(model):
        hooks.append(
            attention.register_forward_hook(
                lambda module, args, gate, name=name: parts[name].append(
                    gate.detach().flatten(1).float().cpu().numpy()
                )
            )
        )
    if not hooks:
        selection(model)  # says why
    gates = Gates()
    try:
        yield gates
    finally:
        for hook in hooks:
            hook.remove()
    gates.update((name, np.concatenate(p)) for name, p in parts.items())
