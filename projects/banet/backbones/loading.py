"""What happens when weights come into a backbone: names, checks, one report.

Everything hangs on ``_load_from_state_dict``, which PyTorch and mmengine call
for every module and every way that weights can come in.
"""

import logging
from collections.abc import Iterator

import torch
from mmengine.logging import print_log
from torch import nn

from ..bridge.block import BridgeMixin
from ..bridge.warm_start import (
    clean_name,
    holds_attention,
    is_untrained,
    tensors_of,
)
from ..utils.errors import BanetError
from .load_report import LoadReport
from .loaders import is_for_a_twin, takes_parts
from .mismatch import (
    expected_names,
    find_problem,
    mismatched_names,
    where_they_differ,
)


class WeightsError(BanetError, RuntimeError):
    """Weights of another network; PyTorch raises RuntimeError there."""


class LoadingMixin(nn.Module):
    """Backbone that knows other libraries' names and reports what it loads.

    Put it before a backbone whose blocks are :class:`BridgeMixin`.
    """

    def blocks(self) -> Iterator[tuple[str, BridgeMixin]]:
        """Name, as in state dicts, and module of every block."""
        for name, module in self.named_modules():
            if isinstance(module, BridgeMixin):
                yield clean_name(f'{name}.')[:-1], module

    def coverage(self, state_dict: dict, prefix: str = '') -> LoadReport:
        """Tell what loading ``state_dict`` into this backbone would do.

        Args:
            state_dict (dict): Tensors by name; not changed.
            prefix (str): Of the backbone's names in it, e.g. ``backbone.``.

        Raises:
            WeightsError: The weights are of another network: another depth,
                width, kind of block or attention, attention in some blocks
                only, or less than half of the backbone.
        """
        state_dict = dict(state_dict)
        self._rename(state_dict, prefix)
        self._refuse(state_dict, prefix)
        return self._report(state_dict, prefix)

    def _load_from_state_dict(self, state_dict, prefix, *args):
        self._leave_out_own(state_dict, prefix)
        if not takes_parts() and is_for_a_twin(prefix):
            print_log(
                f'{prefix[:-1]} gets no weights: they are those of another '
                'backbone of this model. Load them under both names, or copy '
                'them, if both shall start from them.',
                logger='current',
                level=logging.WARNING,
            )
            super()._load_from_state_dict(state_dict, prefix, *args)
            return
        self._rename(state_dict, prefix)
        if not takes_parts():
            self._refuse(state_dict, prefix)
        report = self._report(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)
        print_log(
            str(report),
            logger='current',
            level=logging.INFO if report.clean else logging.WARNING,
        )

    def _leave_out_own(self, state_dict, prefix):
        """torch.distributed.checkpoint fills in what its file lacks, such as
        the attention, with the network's own tensors: nothing came in there.

        But of a sharded network all weights come in as its own tensors, where
        one process reads them for all: then what was trained is from the file.
        """
        own = tensors_of(self)
        same = {n for n in own if state_dict.get(prefix + n) is own[n]}
        if same == own.keys():  # somebody loads a network into itself
            return
        for name, block in self.blocks():
            sharded = {
                n
                for n, tensor in own.items()
                if n.startswith(f'{name}.') and hasattr(tensor, 'full_tensor')
            }
            inner = {n for n in own if n.startswith(f'{name}.attention.')}
            for_all = bool(sharded) and sharded <= same
            if inner <= same and not (
                for_all and not is_untrained(block.attention)
            ):
                for n in inner:
                    del state_dict[prefix + n]

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

    def _refuse(self, state_dict, prefix):
        """Raise WeightsError if they are those of another network."""
        own, blocks = tensors_of(self), dict(self.blocks())
        found = _tensors_below(state_dict, prefix)
        problem = find_problem(blocks, own, found, prefix)
        if problem:
            raise WeightsError(
                f'{type(self).__name__} cannot take these weights: {problem}'
                + where_they_differ(own, state_dict, prefix, blocks)
            )

    def _report(self, state_dict, prefix):
        own = tensors_of(self)
        found = _tensors_below(state_dict, prefix)
        blocks = {
            name: block
            for name, block in self.blocks()
            if block.attention is not None
        }
        expected = expected_names(own, blocks)
        mismatched = mismatched_names(own, found)
        states = [
            'loaded'
            if holds_attention(found, f'{name}.')
            else 'lost'
            if block.loses_attention(found, f'{name}.')
            else 'warm'
            if block.takes_warm_start(found, f'{name}.')
            else 'initial'
            for name, block in blocks.items()
        ]
        replaced = [
            f'{name}.{block.replaced}'
            for name, block in blocks.items()
            if block.replaced
        ]
        surplus = [n for n in found if n not in own]
        within = tuple(f'{name}.' for name in replaced)
        unexpected = [n for n in surplus if not n.startswith(within)]
        inside = tuple(f'{name}.' for name, _ in self.blocks())
        return LoadReport(
            network=type(self).__name__,
            loaded=sum(n in found and n not in mismatched for n in expected),
            expected=len(expected),
            attention_loaded=states.count('loaded'),
            warm_started=states.count('warm') + states.count('lost'),
            attention_initial=states.count('initial'),
            attention_lost=states.count('lost'),
            replaced=tuple(
                name
                for name in replaced
                if any(n.startswith(f'{name}.') for n in surplus)
            ),
            missing=tuple(n for n in expected if n not in found),
            unexpected=tuple(unexpected),
            foreign=tuple(n for n in unexpected if n.startswith(inside)),
            mismatched=tuple(
                f'{n} {tuple(found[n].shape)}, the model has '
                f'{tuple(own[n].shape)}'
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


def _tensors_below(state_dict, prefix):
    return {
        name: value
        for name, value in _below(state_dict, prefix).items()
        if isinstance(value, torch.Tensor)
    }


def _is_finite(tensor):
    tensor = getattr(tensor, '_local_tensor', tensor)  # of a DTensor
    return tensor.is_meta or bool(tensor.isfinite().all())
