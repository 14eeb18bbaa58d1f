"""Why weights are not those of a backbone: the network, the names, where."""

import re
from itertools import islice

from ..utils.text import shorten

CONVERT = 'python tools/convert_checkpoint.py SRC DST'


def first_names(state_dict, prefix=''):
    inner = [n for n in state_dict if counts(n)]
    # The stem alone would look the same in many schemes.
    shown = [n for n in inner if 'layer1.0.' in n][:2] or inner[:3]
    shown = islice((prefix + str(n) for n in shown), 3)
    return ', '.join(shown) + ', ...' if inner else 'nothing'


def probe_name(blocks, own):
    """A name that tells where a backbone is: the first in its blocks."""
    return next(name for name in own if name.startswith(next(iter(blocks))))


def remedy(state_dict, probe):
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
    if is_folded(found) and not is_folded(own):
        return (
            'they are folded (the deploy form) and the model is not: set '
            'deploy=True in its backbone.'
        )
    if is_folded(own) and not is_folded(found):
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
    # Blocks of a stage are numbered: layer1.0, stages.1.0, stages.1.blocks.0.
    numbered = {
        name[: match.end()]
        for name in found
        for stage in filter(None, stages)
        if (match := re.match(rf'{re.escape(stage)}\.\d+', name))
    }
    surplus = numbered.difference(blocks)
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
    holding = [
        name
        for name in touched
        if any(n.startswith(f'{name}.attention.') for n in found)
    ]
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
                f'{tuple(own[n])} in the model: another width, depth or '
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


def _problem_of_attention(prefix, own, found, mismatched):
    theirs = {n for n in found if n.startswith(prefix) and counts(n)}
    mine = {n for n in own if n.startswith(prefix) and counts(n)}
    if theirs != mine:
        versions = {
            'selection.weight': 'BridgeAttentionV2',
            'norms.0.weight': 'BridgeAttentionV1',
        }
        kind = [v for n, v in versions.items() if prefix + n in theirs]
        kind = f' It is that of {kind[0]}.' if kind else ''
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
            f"{tuple(own[n])} in the model: set the attention's ratio as it "
            'was in their training.'
        )
    return None


def counts(name, in_attention=()):
    return not name.endswith('num_batches_tracked') and not (
        in_attention and name.startswith(in_attention)
    )
