"""How much of a backbone came in, in one line for the log."""

from dataclasses import dataclass

from ..utils.text import shorten


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
        attention_lost (int): Of those that are warm-started, blocks whose
            attention had been loaded or trained before.
        replaced (tuple[str]): Another attention in the state dict, such as
            squeeze-and-excitation, in whose place bridge attention stands.
        missing (tuple[str]): Names that the state dict lacks.
        unexpected (tuple[str]): Names that the backbone lacks.
        foreign (tuple[str]): Of these, what stands in the backbone's blocks,
            as parts of another kind of block do.
        mismatched (tuple[str]): Names whose shapes differ, with both shapes.
        not_finite (tuple[str]): Names of tensors with NaN or infinity.
    """

    network: str
    loaded: int
    expected: int
    attention_loaded: int = 0
    warm_started: int = 0
    attention_initial: int = 0
    attention_lost: int = 0
    replaced: tuple = ()
    missing: tuple = ()
    unexpected: tuple = ()
    foreign: tuple = ()
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
            or self.attention_lost
            or self.foreign
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
        if self.attention_lost:
            lines.append(
                f'{self.attention_lost} blocks lose the attention that they '
                'had, loaded or trained; warm_start=False keeps it'
            )
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
        return '; '.join(lines)
