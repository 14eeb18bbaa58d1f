"""What the layers of a (BA-)ResNet are called in other libraries.

Names here are those of a bare backbone, without ``backbone.`` or ``module.``,
and "our names" are mmpretrain's, which on the plain stem are torchvision's.
"""

import re
from collections.abc import Iterable
from typing import Optional

from torch import Tensor

# The reference code's name of a part of the attention -> ours; {last} is the
# index of the block's last conv. The authors' repository of arXiv 2112.04150
# has pre_fusions and cur_fusion, that of arXiv 2410.07860 fusions, for both
# versions.
REFERENCE = (
    (r'\.ba\.(?:pre_)?fusions\.(\d+)\.0\.', r'.attention.reductions.\1.'),
    (r'\.ba\.(?:pre_)?fusions\.(\d+)\.1\.', r'.attention.norms.\1.'),
    (r'\.ba\.cur_fusion\.0\.', '.attention.reductions.{last}.'),
    (r'\.ba\.cur_fusion\.1\.', '.attention.norms.{last}.'),
    (r'\.ba\.proj\.', '.attention.selection.'),
    (r'\.ba\.generation\.0\.', '.attention.norm.'),
    (r'\.ba\.generation\.[12]\.', '.attention.generation.'),
)
# The three convs of a deep stem and their norms.
DEEP_STEMS = (
    # mmdet and mmseg: one Sequential of conv, norm, ReLU, conv, ...
    (r'^stem\.([036])\.(?=\w+$)', 'conv'),
    (r'^stem\.([147])\.(?=\w+$)', 'bn'),
    # timm: the same, but its last norm is bn1
    (r'^conv1\.([036])\.', 'conv'),
    (r'^conv1\.([14])\.', 'bn'),
)
# The rivals: mmpretrain's and timm's SE, ECA-Net's own and timm's ECA.
SE = r'\.(?:se_layer|se|se_module)\.(?:conv|fc)'
RIVALS = (
    (SE + r'1\.(?:conv\.)?', '.attention.squeeze.'),
    (SE + r'2\.(?:conv\.)?', '.attention.generation.'),
    (r'\.(?:eca|se)\.conv\.', '.attention.conv.'),
)
# A tensor of an attention -> the only class that has it.
ATTENTIONS = {
    'selection.weight': 'BridgeAttentionV2',
    'norms.0.weight': 'BridgeAttentionV1',
    'squeeze.weight': 'SqueezeExcitation',
    'conv.weight': 'EfficientChannelAttention',
}
# The third layer of a shortcut: there is a pool before its conv.
POOLED = re.compile(r'(.*\.downsample)\.2\.')


def rename(names: Iterable[str], table) -> dict[str, str]:
    """Map each name through all (pattern, replacement) of ``table``."""
    renamed = {}
    for name in names:
        renamed[name] = name
        for pattern, replacement in table:
            renamed[name] = re.sub(pattern, replacement, renamed[name])
    return renamed


def attention_in(names: Iterable[str]) -> Optional[str]:
    """Class of the attention that such weights are of, if it is known."""
    tensors = {name.rpartition('.attention.')[2] for name in names}
    return next((ATTENTIONS[t] for t in ATTENTIONS if t in tensors), None)


def in_shape(value: Tensor, own: Optional[Tensor]) -> Tensor:
    """``value`` in the shape of ``own``, if they differ in axes of 1 only.

    Pointwise convs may be Linears; torchvision's layer scale is (C, 1, 1).
    """
    if own is None or value.squeeze().shape != own.squeeze().shape:
        return value
    return value.reshape(own.shape)


def to_ours(names: Iterable[str]) -> dict[str, str]:
    """Map each name of a backbone, in whichever scheme, to ours.

    Schemes: torchvision, timm, mmdet, mmseg, mmpretrain, and the three of
    the authors of BA-Net. Names that belong to none stay as they are. Those
    of ``downsample`` stay too: which of them are ours depends on the strides,
    see :func:`shift_downsample`.
    """
    names = list(names)
    deep = any(re.match(DEEP_STEMS[2][0], name) for name in names)
    bottleneck = any('.conv3.' in name for name in names)
    return {name: _to_ours(name, deep, bottleneck) for name in names}


def _to_ours(name, timm_deep, bottleneck):
    if timm_deep and name.startswith('bn1.'):
        return name.replace('bn1.', 'stem.2.bn.', 1)
    for pattern, layer in DEEP_STEMS:
        match = re.match(pattern, name)
        if match:
            index = int(match[1]) // 3
            return f'stem.{index}.{layer}.{name[match.end() :]}'
    last = 2 if bottleneck else 1
    for pattern, ours in REFERENCE:
        name = re.sub(pattern, ours.replace('{last}', str(last)), name)
    return name


def to_reference(names: Iterable[str]) -> dict[str, str]:
    """Map each of our names to that of the authors' BAv2 repository."""
    names = list(names)
    # W_g stands behind [norm, ReLU] in version 2, behind ReLU in version 1.
    index = 2 if any('.attention.selection.' in name for name in names) else 1
    parts = (
        (r'\.attention\.reductions\.(\d+)\.', r'.ba.fusions.\1.0.'),
        (r'\.attention\.norms\.(\d+)\.', r'.ba.fusions.\1.1.'),
        (r'\.attention\.selection\.', '.ba.proj.'),
        (r'\.attention\.norm\.', '.ba.generation.0.'),
        (r'\.attention\.generation\.', f'.ba.generation.{index}.'),
    )
    return rename(names, parts)


def name_rivals(names: Iterable[str], own: Iterable[str]) -> dict[str, str]:
    """Map SE's and ECA's names to those of an ``own`` network that has them.

    Args, Returns: those of :func:`shift_downsample`.
    """
    kinds = '.attention.squeeze.', '.attention.conv.'
    if not any(kind in name for name in own for kind in kinds):
        return {}
    return {
        name: new for name, new in rename(names, RIVALS).items() if new != name
    }


def name_stem_norms(names: Iterable[str], own: Iterable[str]):
    """Map a deep stem's norms to the names that ``own`` has.

    mmdet and mmseg number them (``stem.1``), mmpretrain names them by their
    kind, ``bn`` or ``gn``.

    Args, Returns: those of :func:`shift_downsample`.
    """
    own = set(own)
    renamed = {name: name.replace('.bn.', '.gn.') for name in names}
    return {
        name: new
        for name, new in renamed.items()
        if name.startswith('stem.') and name not in own and new in own
    }


def shift_downsample(names: Iterable[str], own: Iterable[str]):
    """Map names of average-pooled shortcuts to those that ``own`` has.

    Where the stride is 1, mmdet, mmseg and timm keep a pool of 1x1 before the
    shortcut's conv and norm (``downsample.1``, ``.2``); mmpretrain leaves it
    out (``downsample.0``, ``.1``).

    Args:
        names (Iterable[str]): Our names, as :func:`to_ours` gives them.
        own (Iterable[str]): Names of the network that shall be loaded.

    Returns:
        dict[str, str]: Name -> name in the network, for those that differ.
    """
    names, own = set(names), set(own)
    # Behind a pool stand two layers more, not one. Also where only a part
    # comes in, such as the norms alone.
    pooled = [
        {match[1] for name in which if (match := POOLED.match(name))}
        for which in (names, own)
    ]
    renamed = {}
    for name in names:
        match = re.fullmatch(r'(.*\.downsample)\.([012])\.(\w+)', name)
        if match and f'{match[1]}.1.weight' in own:
            shift = (match[1] in pooled[1]) - (match[1] in pooled[0])
            if shift:
                index = int(match[2]) + shift
                renamed[name] = f'{match[1]}.{index}.{match[3]}'
    return renamed
