"""Why weights are not those of a backbone: the network, the names, where."""

import re
from collections.abc import Iterable
from itertools import islice
from typing import Optional

from torch import nn

from ..bridge.warm_start import holds_attention
from ..utils.text import shorten
from .names import attention_in

CONVERT = 'python tools/convert_checkpoint.py SRC DST'


def expected_names(own: Iterable[str], blocks: Iterable[str]) -> list[str]:
    """The names of ``own`` that weights of the plain network have."""
    attention = tuple(f'{name}.attention.' for name in blocks)
    return [name for name in own if counts(name, attention)]


def mismatched_names(own: dict, found: dict) -> list[str]:
    """Names of tensors whose shapes differ."""
    return [n for n in own if n in found and found[n].shape != own[n].shape]


def find_problem(
    blocks: dict, own: dict, found: dict, prefix: str
) -> Optional[str]:
    """Why ``found`` are not the weights of a backbone; None if they are.

    Args:
        blocks (dict): The backbone's blocks by name.
        own (dict): The backbone's tensors by name.
        found (dict): Tensors that come in, under the backbone's names.
        prefix (str): What stood before these names.
    """
    mismatched = mismatched_names(own, found)
    if not mismatched and _holds_all_that_counts(own, found):
        return None
    if prefix and not found:
        # A child is given only the names below its own.
        return (
            f"none of their names begins with '{prefix}': they may be "
            'those of a bare backbone, or stand deeper.'
        )
    if not any(name in own for name in found):
        return 'not one tensor of the backbone is among them.'
    problem = problem_of_blocks(blocks, own, found, mismatched)
    expected = expected_names(own, blocks)
    loaded = [n for n in expected if n in found and n not in mismatched]
    if not problem and 2 * len(loaded) < len(expected):
        return f'they hold only {len(loaded)} of its {len(expected)} tensors.'
    return problem


def _holds_all_that_counts(own, found):
    """Whether ``found`` is a whole state dict, or all that is trained.

    The latter is the checkpoint of an adapter, such as mmpretrain's LoRA,
    which leaves out what it has frozen.
    """
    if all(name in found for name in own):
        return found.keys() == own.keys()
    learns = {
        name: tensor.requires_grad
        for name, tensor in own.items()
        if isinstance(tensor, nn.Parameter)
    }
    learned = {name for name in learns if learns[name]}
    return bool(learned) and learned == found.keys() & learns.keys() < set(
        learns
    )


def where_they_differ(
    own: dict, state_dict: dict, prefix: str, blocks: dict
) -> str:
    """Names of both sides, and the remedy; nothing, if they begin alike."""
    # A name that tells where a backbone is: the first in its blocks.
    first = next(iter(blocks))
    probe = prefix + next(name for name in own if name.startswith(first))
    if probe in state_dict:
        return ''
    return (
        f'\n    the model has: {_first_names(own, prefix)}'
        f'\n    the weights have: {_first_names(state_dict)}'
        f'{_remedy(state_dict, probe)}'
    )


def _first_names(state_dict, prefix=''):
    inner = [n for n in state_dict if counts(n)]
    # The stem alone would look the same in many schemes.
    shown = [n for n in inner if 'layer1.0.' in n][:2] or inner[:3]
    first = islice((prefix + str(n) for n in shown), 3)
    return ', '.join(first) + ', ...' if inner else 'nothing'


def _remedy(state_dict, probe):
    """Where the name ``probe`` is in ``state_dict``, if anywhere."""
    for name in map(str, state_dict):
        if name.endswith(f'.{probe}'):
            return (
                '\n    Say where the backbone is: init_cfg=dict('
                "type='Pretrained', checkpoint=..., "
                f"prefix='{name[: -len(probe)]}')."
            )
    return (
        '\n    If the network is the right one: init_cfg=dict('
        "type='Pretrained', checkpoint=..., prefix='backbone.') takes the "
        'backbone out of a whole model; without prefix it takes the weights '
        "of a bare backbone, which load_from does not. Other libraries' "
        f'ResNets become ours by {CONVERT}.'
    )


def is_folded(names) -> bool:
    """Whether they are the names of a deploy form, without a prefix."""
    return any(
        '.attention.reduction.' in n or n.endswith('.conv1.bias')
        for n in names
    )


def problem_of_blocks(blocks, own, found, mismatched):
    """Why the residual blocks in ``found`` are not the model's, or None."""
    deployed = any(block.deploy for block in blocks.values())
    if not deployed and is_folded(found.keys() - own.keys()):
        return (
            'they are folded (the deploy form) and the model is not: set '
            'deploy=True in its backbone.'
        )
    if deployed and not is_folded(found):
        return (
            'they are not folded and the model is (deploy=True): fold them '
            'with tools/deploy.py, or build the model without deploy, load '
            'and call switch_to_deploy().'
        )
    inner = {
        name: [n for n in own if n.startswith(f'{name}.')] for name in blocks
    }
    touched = {
        name for name in blocks if any(n.startswith(f'{name}.') for n in found)
    }
    # Whole stages may be missing or too many (num_stages); blocks of a stage
    # that both have may not.
    stages = {name.rpartition('.')[0] for name in touched}
    absent = [
        name
        for name in blocks
        if name not in touched and name.rpartition('.')[0] in stages
    ]
    surplus = _numbered(found, stages) - _numbered(own, stages)
    if absent or surplus:
        text = [
            f'{label} {shorten(sorted(which))}'
            for label, which in (
                ('they lack', absent),
                ('the model lacks', surplus),
            )
            if which
        ]
        return (
            f'they are of another depth: {"; ".join(text)}. '
            "Set the depth or arch of the weights in the config's backbone."
        )
    holding = [n for n in touched if holds_attention(found, f'{n}.')]
    ours = [name for name in blocks if blocks[name].attention is not None]
    lacking = [name for name in ours if name in touched - set(holding)]
    if holding and lacking:
        return (
            f'they hold the attention of {len(holding)} blocks but not that '
            f'of {len(lacking)}: {shorten(lacking, 8)}. Take the whole '
            'checkpoint.'
        )
    for name in ours:
        if name in holding:
            problem = _problem_of_attention(
                f'{name}.attention.', own, found, mismatched
            )
            if problem:
                return problem
    for name in blocks:
        wrong = [n for n in mismatched if n.startswith(f'{name}.')]
        if wrong:
            n = wrong[0]
            return (
                f'{n} has shape {tuple(found[n].shape)} in them and '
                f'{tuple(own[n].shape)} in the model: another width, depth or '
                'family.'
            )
        missing = [
            n
            for n in inner[name]
            if name in touched
            and n not in found
            and counts(n, (f'{name}.attention.',))
        ]
        if missing:
            return (
                f'block {name} is of another kind, they lack '
                f'{shorten(missing)}: another depth, family or norm.'
            )
    return None


def _numbered(names, stages):
    """Parts of these stages: layer1.0, stages.1.0, stages.1.blocks.0."""
    return {
        name[: match.end()]
        for name in names
        for stage in filter(None, stages)
        if (match := re.match(rf'{re.escape(stage)}\.\d+', name))
    }


def _problem_of_attention(prefix, own, found, mismatched):
    theirs = {n for n in found if n.startswith(prefix) and counts(n)}
    mine = {n for n in own if n.startswith(prefix) and counts(n)}
    if theirs != mine:
        kind = attention_in(theirs)
        kind = f' It is that of {kind}.' if kind else ''
        return (
            'their attention is another one than the '
            f"config's.{kind} They alone have: "
            f'{shorten(sorted(theirs - mine)) or "nothing"}; the model alone '
            f'has: {shorten(sorted(mine - theirs)) or "nothing"}. Set the '
            "backbone's attention=dict(type=...), with its norm_cfg, as it "
            'was in their training.'
        )
    wrong = sorted(theirs.intersection(mismatched))
    if wrong:
        n = wrong[0]
        return (
            f'{n} has shape {tuple(found[n].shape)} in them and '
            f"{tuple(own[n].shape)} in the model: set the attention's ratio "
            'as it was in their training.'
        )
    return None


def counts(name, in_attention=()):
    return not name.endswith('num_batches_tracked') and not (
        in_attention and name.startswith(in_attention)
    )
