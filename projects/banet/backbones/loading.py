"""What happens when weights come into a backbone: names, checks, one report.

Everything hangs on ``_load_from_state_dict``, which PyTorch and mmengine call
for every module and every way that weights can come in.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from mmengine.logging import print_log

from ..bridge.block import BridgeMixin
from ..utils.text import shorten
from .mismatch import (
    counts,
    first_names,
    probe_name,
    problem_of_blocks,
    remedy,
)


@dataclass(frozen=True)
class LoadReport:
    """How much of a backbone a state dict fills.

    Names are the backbone's own. The attention's are counted by blocks, and
    ``num_batches_tracked``, which older checkpoints lack, is not counted.

    Attributes:
        network (str): Class of the backbone.
        loaded (int): Tensors of the backbone that the state dict holds.
        expected (int): Tensors that the backbone has.
        attention_loaded (int): Blocks whose attention the state dict holds.
        warm_started (int): Blocks whose attention starts as one half.
        attention_initial (int): Blocks whose attention keeps its values.
        replaced (tuple[str]): Another attention in the state dict, such as
            squeeze-and-excitation, in whose place bridge attention stands.
        missing (tuple[str]): Names that the state dict lacks.
        unexpected (tuple[str]): Names that the backbone lacks.
        mismatched (tuple[str]): Names whose shapes differ, with both shapes.
        not_finite (tuple[str]): Names of tensors with NaN or infinity.
    """

    network: str
    loaded: int
    expected: int
    attention_loaded: int = 0
    warm_started: int = 0
    attention_initial: int = 0
    replaced: tuple = ()
    missing: tuple = ()
    unexpected: tuple = ()
    mismatched: tuple = ()
    not_finite: tuple = ()

    @property
    def clean(self) -> bool:
        """Nothing that a user should look at."""
        return not (
            self.missing
            or self.mismatched
            or self.not_finite
            or self.attention_initial
            or any('.attention.' in name for name in self.unexpected)
        )

    def __str__(self):
        attention = [
            f'{count} {text}'
            for count, text in (
                (self.attention_loaded, 'loaded'),
                (self.warm_started, 'warm-started (exactly the plain block)'),
                (self.attention_initial, 'left at its initial values'),
            )
            if count
        ]
        lines = [
            f'{self.network}: {self.loaded} of {self.expected} tensors '
            'loaded; attention of blocks: ' + (', '.join(attention) or 'none')
        ]
        for field, title in (
            ('replaced', 'dropped, replaced by bridge attention'),
            ('missing', 'missing'),
            ('unexpected', 'unexpected'),
            ('mismatched', 'mismatched'),
            ('not_finite', 'not finite'),
        ):
            found = getattr(self, field)
            if found:
                lines.append(f'{title}: {shorten(found)}')
        return '\n    '.join(lines)


class LoadingMixin:
    """Backbone that knows other libraries' names and reports what it loads.

    Put it before a backbone whose blocks are :class:`BridgeMixin`.
    """

    def blocks(self) -> Iterator[tuple[str, BridgeMixin]]:
        """Name and module of every block."""
        for name, module in self.named_modules():
            if isinstance(module, BridgeMixin):
                yield name, module

    def coverage(self, state_dict: dict, prefix: str = '') -> LoadReport:
        """Tell what loading ``state_dict`` into this backbone would do.

        Args:
            state_dict (dict): Tensors by name; not changed.
            prefix (str): Of the backbone's names in it, e.g. ``backbone.``.

        Raises:
            ValueError: The weights are of another network: another depth,
                width, kind of block or attention, attention in some blocks
                only, or less than half of the backbone.
        """
        state_dict = dict(state_dict)
        self._rename(state_dict, prefix)
        return self._coverage(state_dict, prefix)

    def _load_from_state_dict(self, state_dict, prefix, *args):
        # A copy: PyTorch's loaders pass one, but they do not promise to.
        self._rename(state_dict, prefix)
        report = self._coverage(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)
        print_log(
            str(report),
            logger='current',
            level=logging.INFO if report.clean else logging.WARNING,
        )

    def to_own(self, found: dict) -> dict:
        """Give weights of other libraries the backbone's names and shapes.

        Args:
            found (dict): Weights by name, those of the backbone alone.
        """
        return found

    def _rename(self, state_dict, prefix):
        """Make the backbone's entries of ``state_dict`` its own."""
        found = {
            name: state_dict.pop(prefix + name)
            for name in _below(state_dict, prefix)
        }
        # As many official files are, which mmengine does not look into.
        wrapped = found.get('model')
        if isinstance(wrapped, dict):
            found = dict(wrapped)
        state_dict.update(
            {prefix + name: v for name, v in self.to_own(found).items()}
        )

    def _coverage(self, state_dict, prefix):
        own = {k: v.shape for k, v in self.state_dict().items()}
        found = {
            name: value
            for name, value in _below(state_dict, prefix).items()
            if isinstance(value, torch.Tensor)
        }
        blocks = dict(self.blocks())
        in_attention = tuple(f'{name}.attention.' for name in blocks)
        expected = [n for n in own if counts(n, in_attention)]
        mismatched = [
            n for n in own if n in found and found[n].shape != own[n]
        ]
        loaded = [n for n in expected if n in found and n not in mismatched]
        if prefix and not found:
            # A child is given only the names below its own.
            problem = (
                f"none of their names begins with '{prefix}': they may be "
                'those of a bare backbone, or stand deeper.'
            )
        elif any(name in own for name in found):
            problem = problem_of_blocks(blocks, own, found, mismatched)
        else:
            problem = 'not one tensor of the backbone is among them.'
        if not problem and 2 * len(loaded) < len(expected):
            problem = (
                f'they hold only {len(loaded)} of its {len(expected)} tensors.'
            )
        if problem:
            probe = prefix + probe_name(blocks, own)
            raise ValueError(
                f'{type(self).__name__} cannot take these weights: {problem}\n'
                f'    the model has: {first_names(own, prefix)}\n'
                f'    the weights have: {first_names(state_dict)}'
                f'{"" if probe in state_dict else remedy(state_dict, probe)}'
            )
        states = [
            'loaded'
            if any(n.startswith(f'{name}.attention.') for n in found)
            else 'warm'
            if block.takes_warm_start(found, f'{name}.')
            else 'initial'
            for name, block in blocks.items()
            if block.attention is not None
        ]
        replaced = [
            f'{name}.{block.replaced}'
            for name, block in blocks.items()
            if block.replaced
        ]
        surplus = [n for n in found if n not in own]
        within = tuple(f'{name}.' for name in replaced)
        return LoadReport(
            network=type(self).__name__,
            loaded=len(loaded),
            expected=len(expected),
            attention_loaded=states.count('loaded'),
            warm_started=states.count('warm'),
            attention_initial=states.count('initial'),
            replaced=tuple(
                name
                for name in replaced
                if any(n.startswith(f'{name}.') for n in surplus)
            ),
            missing=tuple(n for n in expected if n not in found),
            unexpected=tuple(n for n in surplus if not n.startswith(within)),
            mismatched=tuple(
                f'{n} {tuple(found[n].shape)}, the model has {tuple(own[n])}'
                for n in mismatched
            ),
            not_finite=tuple(
                n for n in own if n in found and not _is_finite(found[n])
            ),
        )


def _below(state_dict, prefix):
    """The entries whose names begin with ``prefix``, without it."""
    return {
        name[len(prefix) :]: value
        for name, value in state_dict.items()
        if name.startswith(prefix)
    }


def _is_finite(tensor):
    return tensor.is_meta or bool(tensor.isfinite().all())
