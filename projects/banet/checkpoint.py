"""Whole checkpoints of (BA-)ResNets: recognise, convert, load.

Reads, by content: the three formats of BA-Net's authors, torchvision's,
timm's, and those of mmpretrain, mmdet and mmseg (classifiers, detectors,
segmentors, bare backbones). Writes mmpretrain's, the authors' BAv2
repository's and torchvision's names.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

import torch
from mmengine.runner.checkpoint import load_state_dict
from torch import nn, Tensor

from . import names
from .backbones import BAResNet
from .files import (
    check_target,
    CheckpointError,
    plain,
    read,
    sha256,
    write,
)
from .loading import is_folded, LoadingMixin, LoadReport, shorten
from .version import __version__

# What wraps the weights in a file; the last ones are means over the training.
WRAPPERS = ('state_dict', 'model', 'model_state_dict')
EMA_WRAPPERS = ('state_dict_ema', 'model_ema')
# (bottleneck, blocks per stage) -> depth
DEPTHS = {
    (False, (2, 2, 2, 2)): 18,
    (False, (3, 4, 6, 3)): 34,
    (True, (3, 4, 6, 3)): 50,
    (True, (3, 4, 23, 3)): 101,
    (True, (3, 8, 36, 3)): 152,
}
LAYER = r'(conv[123]|[bg]n[123]|downsample\.[012]|attention\.\w+(\.\d)?)\.\w+'
BACKBONE = re.compile(
    r'(conv1|[bg]n1|stem\.\d\.(conv|[bg]n))\.\w+|layer\d\.\d+\.' + LAYER
)
# Names that torchvision's ResNets and the authors' code have.
TORCHVISION = re.compile(
    r'(conv1|bn1)\.\w+|layer\d\.\d+\.(conv[123]|bn[123]|downsample\.[01])\.\w+'
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
        if any('.attention.selection.' in n for n in inner):
            return 'BridgeAttentionV2'
        if any('.attention.norms.' in n for n in inner):
            return 'BridgeAttentionV1'
        return 'another attention' if inner else None

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

    def to_mm(self, task: str = 'cls') -> dict[str, Tensor]:
        """State dict of a mmpretrain classifier or of a bare backbone.

        Args:
            task (str): ``cls`` (``backbone.*`` and ``head.fc.*``) or
                ``backbone`` (no prefix).
        """
        if task == 'backbone':
            return dict(self.backbone)
        self._needs_classifier()
        return {
            **{f'backbone.{n}': v for n, v in self.backbone.items()},
            **{f'head.fc.{n}': v for n, v in self.classifier.items()},
        }

    def to_reference(self, task: str = 'cls') -> dict[str, Tensor]:
        """State dict under the names of the authors' BAv2 repository."""
        self._not_folded()
        if self.attention not in ('BridgeAttentionV1', 'BridgeAttentionV2'):
            raise CheckpointError(
                'the authors have no names for a network with '
                f'{self.attention or "no attention"}: use --to torchvision or '
                '--to mm.'
            )
        theirs = names.to_reference(self.backbone)
        plain = {n for n in theirs if '.attention.' not in n}
        self._only_torchvision(plain, 'reference')
        return {
            **{theirs[n]: v for n, v in self.backbone.items()},
            **self._fc(task),
        }

    def to_torchvision(
        self, task: str = 'cls', drop_attention: bool = False
    ) -> dict[str, Tensor]:
        """State dict under the names of torchvision's plain ResNets."""
        self._not_folded()
        plain = self
        if self.attention:
            if not drop_attention:
                raise CheckpointError(
                    'torchvision has no attention: what is left without it '
                    'is another, worse network. --drop-attention writes it '
                    'all the same.'
                )
            plain = self.without_attention()
        self._only_torchvision(plain.backbone, 'torchvision')
        return {**plain.backbone, **self._fc(task)}

    def without_attention(self) -> 'Checkpoint':
        """The same weights without their attention: another network."""
        plain = {
            n: v for n, v in self.backbone.items() if '.attention.' not in n
        }
        return Checkpoint(**{**vars(self), 'backbone': plain})

    def _fc(self, task):
        if task == 'backbone':
            return {}
        self._needs_classifier()
        return {f'fc.{n}': v for n, v in self.classifier.items()}

    def _not_folded(self):
        if is_folded(self.backbone):
            raise CheckpointError(
                'it is folded (the deploy form), which other libraries have '
                'no names for: convert the checkpoint that it was made of.'
            )

    def _needs_classifier(self):
        if not self.classifier:
            raise CheckpointError(
                'there is no classifier (fc, head.fc) in it: '
                'use --task backbone.'
            )

    def _only_torchvision(self, found, target):
        foreign = [n for n in found if not TORCHVISION.fullmatch(n)]
        if foreign:
            raise CheckpointError(
                f'--to {target} has no names for {shorten(foreign)} (deep '
                'stem, average-pooled shortcuts or another norm): '
                'use --to mm.'
            )


def open_checkpoint(
    path: Union[str, Path], trust: bool = False, ema: bool = False
) -> Checkpoint:
    """Read and recognise a file, see :func:`banet.files.read`.

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
    found, wrapper, dropped = _unwrap(raw, ema)
    module = all(name.startswith('module.') for name in found)
    if module:
        found = {n.removeprefix('module.'): v for n, v in found.items()}
    probe = 'layer1.0.conv1.weight'
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
    head = 'fc.' if not prefix else 'head.fc.'
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
    info, meta = _info(raw), raw.get('meta')
    source = [f'{w!r}' for w in (wrapper, 'module.' if module else '') if w]
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


def _unwrap(raw, ema):
    """Tensors by name, what they stood under, and what stood beside them."""
    if not isinstance(raw, dict):
        raise CheckpointError(
            f'it holds a {type(raw).__name__}, not a dict of tensors. Save '
            "the model's state_dict()."
        )
    order = EMA_WRAPPERS + WRAPPERS if ema else WRAPPERS + EMA_WRAPPERS
    wrapper = next((w for w in order if isinstance(raw.get(w), dict)), None)
    if ema and wrapper not in EMA_WRAPPERS:
        raise CheckpointError(
            f'there is no moving average in it ({", ".join(EMA_WRAPPERS)}): '
            'leave --ema out.'
        )
    inner = raw[wrapper] if wrapper else raw
    found = {
        str(n): v for n, v in inner.items() if isinstance(v, torch.Tensor)
    }
    if not found:
        raise CheckpointError(
            'it holds no tensors by name. Its entries: '
            f'{shorten(map(str, raw)) or "none"}.'
        )
    beside = [str(n) for n in raw if n not in (wrapper, 'meta')]
    return found, wrapper, tuple(beside) if wrapper else ()


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
    blocks = {n.rsplit('.', 2)[0] for n in backbone if '.conv' in n}
    blocks = {n for n in blocks if n.startswith('layer')}
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


def _info(raw):
    """Epoch, iteration and metrics, wherever the formats keep them."""
    meta = raw.get('meta') if isinstance(raw.get('meta'), dict) else {}
    info = {
        key: source[key]
        for source in (raw, meta)
        for key in ('epoch', 'iter', 'max_accuracy', 'metric')
        if isinstance(source.get(key), (int, float, str))
    }
    hub = raw.get('message_hub')
    if isinstance(hub, dict):
        for name, log in hub.get('log_scalars', {}).items():
            history = vars(log).get('_log_history')
            if name.startswith('val/') and history is not None:
                info[name.removeprefix('val/')] = float(history[-1])
        if 'best_score' in hub.get('runtime_info', {}):
            info['best score'] = hub['runtime_info']['best_score']
    return info


def convert(
    source: Union[str, Path],
    target: Union[str, Path],
    to: str = 'mm',
    task: str = 'cls',
    *,
    drop_attention: bool = False,
    publish: bool = False,
    force: bool = False,
    trust: bool = False,
    ema: bool = False,
) -> tuple[Checkpoint, Path]:
    """Rewrite a checkpoint under other names; no digit changes.

    Args:
        source (str | Path): File to read.
        target (str | Path): File to write.
        to (str): ``mm``, ``reference`` (the BAv2 repository) or
            ``torchvision``.
        task (str): ``cls`` with the classifier, ``backbone`` without.
        drop_attention (bool): Leave the attention out, which gives another
            network. Defaults to False.
        publish, force: See :func:`banet.files.write`.
        trust, ema: See :func:`open_checkpoint`.

    Returns:
        tuple: What was read, and the file written.

    Raises:
        CheckpointError: Cannot be read, converted or written.
    """
    target = Path(target)
    check_target(target, force or publish)
    checkpoint = open_checkpoint(source, trust, ema)
    if target.exists() and target.samefile(source):
        raise CheckpointError(
            f'{target} is both source and target: name another target.'
        )
    chosen = checkpoint.without_attention() if drop_attention else checkpoint
    if to == 'mm':
        meta = {
            **checkpoint.meta,
            **checkpoint.info,
            'source': Path(source).name,
            'sha256': sha256(source),
            'format': checkpoint.format,
            'network': chosen.network,
            'depth': chosen.depth,
            'version': __version__,
        }
        content = dict(meta=plain(meta), state_dict=chosen.to_mm(task))
    elif to == 'reference':
        content = dict(
            model=chosen.to_reference(task), **plain(checkpoint.info)
        )
    else:
        content = checkpoint.to_torchvision(task, drop_attention)
    return checkpoint, write(content, target, force, publish)


def load_weights(
    model: nn.Module, path: Union[str, Path], trust: bool = False
) -> LoadReport:
    """Load a file of any recognised format into a backbone.

    Args:
        model (nn.Module): BA backbone, or a model with one as ``backbone``.
        path (str | Path): The file; its heads are not loaded.
        trust (bool): Allow code in it. Defaults to False.

    Returns:
        LoadReport: What was loaded, warm-started, missing, ...

    Raises:
        CheckpointError: The file cannot be read; it is no ResNet and the
            backbone is one.
        ValueError: It is another network than the backbone.
        TypeError: ``model`` is or has no BA backbone.
    """
    backbone = getattr(model, 'backbone', model)
    if not isinstance(backbone, LoadingMixin):
        raise TypeError(
            f'{type(model).__name__} is no backbone of banet, such as '
            'BAResNet, and has none as its attribute backbone.'
        )
    if isinstance(backbone, BAResNet):
        weights = open_checkpoint(path, trust).to_mm('backbone')
    else:
        weights = _bare(read(path, trust))
    report = backbone.coverage(weights)
    # mmengine's, which leaves out tensors of another shape, as everywhere.
    load_state_dict(backbone, weights)
    return report


def _bare(raw):
    """The backbone's weights in a file, without wrappers and prefixes."""
    found, _, _ = _unwrap(raw, False)
    for prefix in ('module.', 'backbone.'):
        below = {
            name.removeprefix(prefix): value
            for name, value in found.items()
            if name.startswith(prefix)
        }
        found = below or found
    return found
