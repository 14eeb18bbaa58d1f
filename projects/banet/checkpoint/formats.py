"""Recognise a (BA-)ResNet in what a checkpoint file holds, by content."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

from torch import Tensor

from ..backbones import names
from ..backbones.mismatch import is_folded
from ..utils.errors import CheckpointError
from ..utils.text import shorten
from .files import information, read
from .weights import unwrap, within, without_prefixes

# (bottleneck, blocks per stage) -> depth
DEPTHS: dict[tuple[bool, tuple[int, ...]], int] = {
    (False, (2, 2, 2, 2)): 18,
    (False, (3, 4, 6, 3)): 34,
    (True, (3, 4, 6, 3)): 50,
    (True, (3, 4, 23, 3)): 101,
    (True, (3, 8, 36, 3)): 152,
}
LAYER = r'(conv[123]|[bg]n[123]|downsample\.[012]|attention(\.\w+)+)\.\w+'
BACKBONE = re.compile(
    r'(conv1|[bg]n1|stem\.\d\.(conv|[bg]n))\.\w+|layer\d\.\d+\.' + LAYER
)


@dataclass(frozen=True)
class Checkpoint:
    """Weights of one (BA-)ResNet under our names, and where they come from.

    Attributes:
        backbone (dict[str, Tensor]): Under the names of a bare BAResNet.
        classifier (dict[str, Tensor]): ``weight`` and ``bias`` of the last
            Linear; empty if there is none.
        rest (dict[str, Tensor]): What is neither, such as a neck and heads,
            under the names of the file.
        format (str): What the file was recognised as.
        dropped (tuple[str]): Entries besides the weights, such as an
            optimizer's state.
        info (dict): ``epoch`` and metrics, if the file tells them.
        meta (dict): The ``meta`` of an OpenMMLab file.
    """

    backbone: dict[str, Tensor]
    classifier: dict[str, Tensor]
    rest: dict[str, Tensor]
    format: str
    dropped: tuple[str, ...] = ()
    info: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def stages(self) -> tuple[int, ...]:
        """Blocks per stage."""
        blocks = {
            tuple(map(int, match.groups()))
            for match in (
                re.match(r'layer(\d)\.(\d+)\.', name) for name in self.backbone
            )
            if match
        }
        count = max(stage for stage, _ in blocks)
        return tuple(
            sum(stage == i for stage, _ in blocks) for i in range(1, count + 1)
        )

    @property
    def depth(self) -> Union[int, None]:
        """18, 34, 50, 101, 152, or None for other numbers of blocks."""
        bottleneck = 'layer1.0.conv3.weight' in self.backbone
        return DEPTHS.get((bottleneck, self.stages))

    @property
    def attention(self) -> Union[str, None]:
        """Class of the attention, None in a plain ResNet."""
        inner = [n for n in self.backbone if '.attention.' in n]
        if any('.attention.reduction.' in n for n in inner):
            return 'bridge attention, folded'
        other = 'another attention' if inner else None
        return names.attention_in(inner) or other

    @property
    def network(self) -> str:
        """Class of the backbone."""
        conv1 = self.backbone['layer1.0.conv1.weight']
        grouped = (
            self.backbone['layer1.0.conv2.weight'].shape[1] != conv1.shape[0]
        )
        down = self.backbone.get('layer2.0.downsample.1.weight')
        suffix = ''
        if 'stem.0.conv.weight' in self.backbone:
            pooled = down is not None and down.dim() == 4
            suffix = 'V1d' if pooled else 'V1c'
        base = 'ResNeXt' if grouped else 'ResNet'
        return ('BA' if self.attention else '') + base + suffix

    def without_attention(self) -> 'Checkpoint':
        """The same weights without their attention: another network."""
        plain = {
            n: v for n, v in self.backbone.items() if '.attention.' not in n
        }
        return Checkpoint(**{**vars(self), 'backbone': plain})

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All tensors of the file, the network's under our names."""
        return {
            **self.rest,
            **self.backbone,
            **{f'fc.{n}': v for n, v in self.classifier.items()},
        }

    def describe(self) -> str:
        """What this is, in a few lines."""
        parameters = sum(
            tensor.numel()
            for name, tensor in self.tensors.items()
            if not name.endswith(
                ('running_mean', 'running_var', 'num_batches_tracked')
            )
        )
        lines = {
            'format': self.format,
            'network': self.network,
            'depth': self.depth or f'unknown, blocks {self.stages}',
            'attention': f'{self.attention} in {sum(self.stages)} blocks'
            if self.attention
            else 'none',
            'classes': len(self.classifier['weight'])
            if self.classifier
            else 'no classifier',
            'tensors': len(self.tensors),
            'parameters': f'{parameters:,}',
            'written by': f'banet {self.meta["version"]}'
            if 'version' in self.meta
            else 'unknown',
            **self.info,
        }
        if is_folded(self.backbone):
            lines['form'] = 'deploy: norms fused, attention folded'
        if self.rest:
            lines['other parts'] = ', '.join(
                sorted({name.split('.')[0] for name in self.rest})
            )
        if self.dropped:
            lines['not weights'] = ', '.join(self.dropped)
        bad = [n for n, v in self.tensors.items() if not v.isfinite().all()]
        if bad:
            lines['WARNING'] = f'NaN or infinity in {shorten(bad)}'
        width = max(map(len, lines)) + 2
        return '\n'.join(
            f'{key:{width}}{value}' for key, value in lines.items()
        )


def open_checkpoint(
    path: Union[str, Path], trust: bool = False, ema: bool = False
) -> Checkpoint:
    """Read and recognise a file, see :func:`banet.checkpoint.files.read`.

    Args:
        path (str | Path): The file.
        trust (bool): Allow code in it. Defaults to False.
        ema (bool): Take the moving average of the weights
            (``state_dict_ema``) where there are both. Defaults to False.

    Raises:
        CheckpointError: Unreadable, or no (BA-)ResNet.
    """
    try:
        return recognise(read(path, trust), ema)
    except CheckpointError as error:
        if str(path) in str(error):
            raise
        raise CheckpointError(f'{path}: {error}') from error


def recognise(raw: Any, ema: bool = False) -> Checkpoint:
    """Find the (BA-)ResNet in what a file holds.

    Raises:
        CheckpointError: There is none, or one that lacks convs.
    """
    found, wrapper, dropped = unwrap(raw, ema)
    found, taken = without_prefixes(found)
    probe = 'layer1.0.conv1.weight'
    found = within(found, [f'backbone.{probe}'])
    prefix = next(
        (
            n.removesuffix(probe)
            for n in found
            if n == probe or n.endswith(f'.{probe}')
        ),
        None,
    )
    if prefix is None:
        raise CheckpointError(
            f'no ResNet is in it: none of its {len(found)} names ends in '
            f'{probe}. They begin: {shorten(found)}.'
        )
    inner = {
        n.removeprefix(prefix): v
        for n, v in found.items()
        if n.startswith(prefix)
        and re.match(r'(conv1|[bg]n1|stem|layer\d)\.', n.removeprefix(prefix))
    }
    # Beside the backbone, in it as in torchvision's, or in a head.
    heads = f'{prefix}fc.', 'head.fc.', 'fc.'
    head = next((h for h in heads if f'{h}weight' in found), heads[0])
    classifier = {
        n.removeprefix(head): v
        for n, v in found.items()
        if n in (f'{head}weight', f'{head}bias')
    }
    rest = {
        n: v
        for n, v in found.items()
        if n.removeprefix(prefix) not in inner or not n.startswith(prefix)
        if n.removeprefix(head) not in classifier
    }
    raw = raw if wrapper else {}
    info, meta = information(raw), raw.get('meta')
    source = [f'{w!r}' for w in (wrapper, *taken) if w]
    return Checkpoint(
        backbone=_ours(inner),
        classifier=classifier,
        rest=rest,
        format=_format(inner, prefix)
        + (f' (under {", ".join(source)})' if source else ''),
        dropped=tuple(name for name in dropped if name not in info),
        info=info,
        meta=dict(meta) if isinstance(meta, dict) else {},
    )


def _ours(inner):
    ours = names.to_ours(inner)
    # As mmpretrain numbers a shortcut of stride 1, which layer1 has; the
    # load hook adapts those of dilated networks.
    standard = [f'layer1.0.downsample.{i}.weight' for i in (0, 1)]
    if 'layer1.0.downsample.1.weight' in inner:
        shifted = names.shift_downsample(ours.values(), standard)
        ours = {old: shifted.get(new, new) for old, new in ours.items()}
    backbone = {ours[n]: v for n, v in inner.items()}
    foreign = [n for n in backbone if not BACKBONE.fullmatch(n)]
    if foreign:
        raise CheckpointError(
            f'{shorten(foreign)}: no part of a ResNet or a BA-ResNet. Is it '
            'a ResNet with another attention?'
        )
    found = (re.match(r'(layer\d\.\d+)\.conv\d', n) for n in backbone)
    blocks = {match[1] for match in found if match}
    last = 3 if 'layer1.0.conv3.weight' in backbone else 2
    missing = [
        f'{block}.conv{i}.weight'
        for block in sorted(blocks)
        for i in range(1, last + 1)
        if f'{block}.conv{i}.weight' not in backbone
    ]
    if missing:
        raise CheckpointError(
            f'it is not whole, it lacks {shorten(missing)}. Take the whole '
            'checkpoint.'
        )
    holding = {n.split('.attention.')[0] for n in backbone if '.att' in n}
    lacking = sorted(blocks - holding)
    if holding and lacking:
        raise CheckpointError(
            f'the attention of {len(lacking)} blocks is missing: '
            f'{shorten(lacking, 8)}. Take the whole checkpoint.'
        )
    return backbone


def _format(inner, prefix):
    if any('.ba.pre_fusions.' in n for n in inner):
        return "reference, BAv1, the ECCV repository's names"
    if any('.ba.proj.' in n for n in inner):
        return "reference, BAv2, the BAv2 repository's names"
    if any('.ba.fusions.' in n for n in inner):
        return "reference, BAv1, the BAv2 repository's names"
    if 'conv1.0.weight' in inner:
        return 'timm'
    if prefix:
        return f"mm, the backbone under '{prefix}'"
    if any('.attention.' in n or n.startswith('stem.') for n in inner):
        return 'mm, a bare backbone'
    return 'torchvision, timm or a bare backbone of mm (the same names)'
