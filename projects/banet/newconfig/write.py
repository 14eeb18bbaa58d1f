"""Write a small config that inherits one of ours."""

import os
import re
from pathlib import Path
from typing import Optional

from mmengine.config import Config
from mmengine.registry import MODELS

from ..apis.config import load_config
from ..apis.zoo import find_config, list_models
from ..checkpoint.files import check_file
from ..utils.errors import CheckpointError
from ..utils.files import check_apart, check_target, put_whole
from ..utils.registered import default_of
from . import cls, det, seg
from .checks import NewConfigError

TASKS = dict(cls=cls, det=det, seg=seg)
# Options that mean something for one task alone.
OWN_OPTIONS = dict(
    cls=('val_share',),
    det=('images', 'val_images', 'keep_empty_classes'),
    seg=('labels', 'classes', 'label_suffix', 'val_labels'),
)
# Schedules of short trainings first: own data sets are smaller than theirs.
PREFERRED = ('_1x_', '-20k_', '_8xb32_', '-80k_ade', '-160k_')


def find_base(task: str, model: str, depth: Optional[str]) -> str:
    """Name of the config to inherit.

    Args:
        task (str): ``'cls'``, ``'det'`` or ``'seg'``.
        model (str): Such as ``mask-rcnn``, ``upernet`` or ``resnet``; or the
            whole name of a config.
        depth (str | None): Such as ``r50``.

    Raises:
        NewConfigError: There is none; what there is is listed.
    """
    known = [
        n
        for n in list_models(task=task)
        if not n.endswith(('nuclei', 'digits'))
    ]
    if model in known:
        return model
    if depth is None:
        raise NewConfigError(
            f'{model} is no config: name one of {", ".join(known)}; or a '
            'model and a depth, such as mask-rcnn r50.'
        )
    digits, name = depth.removeprefix('r'), re.escape(model)
    start = (
        rf'ba-{name}{digits}_'
        if task == 'cls'
        else rf'{name}_ba-r{digits}[-_]'
    )
    found = [name for name in known if re.match(start, name)]
    for part in PREFERRED:
        for name in found:
            if part in name and 'amp' not in name and 'rsb' not in name:
                return name
    pattern = (
        r'ba-([a-z]+)(\d+)_' if task == 'cls' else r'([a-z0-9-]+)_ba-(r\d+)'
    )
    pairs = sorted(
        {' '.join(m.groups()) for n in known if (m := re.match(pattern, n))}
    )
    raise NewConfigError(
        f'there is no {task} config of {model} {depth}; there are '
        f'{", ".join(pairs)}; or name a whole config, one of '
        f"banet.list_models(task='{task}')."
    )


def with_classes(part, count: int):
    """What must change in a part of a model for ``count`` classes.

    Returns:
        dict | list | None: Only the keys that change, but whole lists, which
        configs replace and do not merge; None if nothing does.
    """
    if isinstance(part, list):
        parts = [with_classes(p, count) for p in part]
        if not any(parts):
            return None
        whole = [Config(p.to_dict()) for p in part]
        for config, change in zip(whole, parts):
            config.merge_from_dict(change or {})
        return [config._cfg_dict.to_dict() for config in whole]
    if not isinstance(part, dict):
        return None
    changed = {
        key: change
        for key, value in part.items()
        if (change := with_classes(value, count))
    }
    if 'num_classes' in part:
        changed['num_classes'] = count
        if part.get('out_channels') == part['num_classes']:  # mmseg's heads
            changed['out_channels'] = count
    return changed or None


def batch_size(base, name: str) -> int:
    """Images per iteration that the learning rate of ``base`` is made for."""
    if 'auto_scale_lr' in base:
        return base.auto_scale_lr.base_batch_size
    found = re.search(r'_(\d+)xb(\d+)', name)
    assert found is not None, name  # the others' names tell it
    return int(found[1]) * int(found[2])


def make_config(args) -> Path:
    """Write the config that the options of tools/new_config.py ask for.

    Raises:
        NewConfigError: Something in the data or options does not fit.
        CheckpointError: The file exists, or cannot be written.
    """
    out = Path(args.out)
    if out.suffix != '.py':
        raise NewConfigError(f'--out {out}: its name must end in .py.')
    check_target(out, args.force)
    if args.gpus < 1 or args.batch < 1:
        raise NewConfigError(
            f'--gpus {args.gpus} --batch {args.batch}: both are at least 1.'
        )
    for task, names in OWN_OPTIONS.items():
        for name in names:
            if task != args.task and getattr(args, name) not in (None, False):
                raise NewConfigError(
                    f'--{name.replace("_", "-")} is an option of {task}, not '
                    f'of {args.task}: leave it out.'
                )
    weights = _weights(args.weights)
    name = find_base(args.task, args.model, args.depth)
    path = find_config(name).resolve()
    check_apart(out, path)
    base = load_config(str(path))
    classes, data = TASKS[args.task].data_of(args, base)
    images = args.gpus * args.batch
    rate = base.optim_wrapper.optimizer.lr * images / batch_size(base, name)
    model = Config(data.pop('model', {}))
    model.merge_from_dict(with_classes(base.model, len(classes)))
    if weights:
        init = (
            _initial(base)
            if weights == 'none'
            else dict(type='Pretrained', checkpoint=weights)
        )
        model.merge_from_dict(dict(backbone=dict(init_cfg=init)))
    if weights == 'none':
        # Nothing was trained that could be frozen.
        for key, value in (('frozen_stages', -1), ('norm_eval', False)):
            if key in base.model.backbone:
                model.merge_from_dict(dict(backbone={key: value}))
    data['train_dataloader']['batch_size'] = args.batch
    content = dict(
        model=model._cfg_dict.to_dict(),
        **data,
        optim_wrapper=dict(optimizer=dict(lr=float(f'{rate:.6g}'))),
        auto_scale_lr=dict(base_batch_size=images),
    )
    text = (
        f'# {name} for {len(classes)} classes: written by '
        'tools/new_config.py.\n'
        f'# Learning rate: that of {batch_size(base, name)} images per '
        f'iteration, scaled to {images}.\n'
        f'_base_ = {_reference(path, out)!r}\n'
        f'{Config(content).pretty_text}'
    )
    put_whole(text.encode(), out)
    return out


def _initial(base):
    """As the backbone's class draws its weights where nobody says how."""
    return default_of(MODELS.get(base.model.backbone.type), 'init_cfg')


def _weights(named: Optional[str]) -> Optional[str]:
    """What the config says of the weights: a file is there, and absolute."""
    if named in (None, 'none') or '://' in str(named):
        return named
    try:
        check_file(named)
    except CheckpointError as error:
        raise NewConfigError(f'--weights {named}: {error}') from error
    return os.path.abspath(named)


def _reference(path: Path, out: Path) -> str:
    """The base's path: relative within one tree, that it can be moved."""
    folder = out.resolve().parent
    inside = home_of(path) in (folder, *folder.parents)
    return os.path.relpath(path, folder) if inside else str(path)


def home_of(path: Path) -> Path:
    """The folder whose configs/TASK/ holds a config."""
    return path.parents[2]
