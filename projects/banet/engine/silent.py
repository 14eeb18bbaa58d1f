"""Runs that would silently do another thing than what was asked for."""

from mmengine.config import Config
from mmengine.device import get_device
from torch import nn

from ..apis.model import build_model, load_model
from ..utils.errors import CheckpointError
from .paths import LaunchError


def check_silent(config: Config, args) -> None:
    """Raise LaunchError for options that cannot do what they say.

    Args:
        config (Config): With the command line's options merged in.
        args (Namespace): Parsed by the upstream script's own parser.
    """
    trains = not hasattr(args, 'checkpoint')  # train.py, not test.py
    name = _type(config.get('optim_wrapper') or {})
    half = getattr(args, 'amp', False) or name == 'AmpOptimWrapper'
    if half and trains and get_device() == 'cpu':
        raise LaunchError(
            'training in half precision (--amp, AmpOptimWrapper) needs a GPU, '
            'and none is visible: leave --amp out, or set '
            '--cfg-options optim_wrapper.type=OptimWrapper '
            '(CPUAmpOptimWrapper trains in bfloat16 on a CPU).'
        )
    # --amp takes another wrapper.
    own = name == 'CPUAmpOptimWrapper' and not getattr(args, 'amp', False)
    if own and trains and get_device() != 'cpu':
        raise LaunchError(
            'CPUAmpOptimWrapper has no effect on a GPU, where the training '
            'would be in float32: set '
            '--cfg-options optim_wrapper.type=AmpOptimWrapper.'
        )
    roi_head = (config.get('model') or {}).get('roi_head') or {}
    if getattr(args, 'tta', False) and 'mask_head' in roi_head:
        raise LaunchError(
            "mmdet's test-time augmentation merges boxes and no masks: leave "
            '--tta out, or test a model without a mask head.'
        )
    if trains:
        _check_one_cycle(config, args)
    _check_checkpointing(config)


def _type(options):
    """A name, also where a new-style config has a class."""
    kind = options.get('type')
    return getattr(kind, '__name__', kind)


def _check_one_cycle(config, args):
    """It sets the rate of all parameters, whatever it was, to its eta_max."""
    schedule = config.get('param_scheduler') or []
    steps = [schedule] if isinstance(schedule, dict) else schedule
    if not any(
        _type(step) == 'OneCycleLR'
        and not isinstance(step.get('eta_max'), (list, tuple))
        for step in steps
    ):
        return
    paramwise = (config.get('optim_wrapper') or {}).get('paramwise_cfg')
    lost = sorted(_multipliers(paramwise))
    scale = config.get('auto_scale_lr') or {}
    if getattr(args, 'auto_scale_lr', False) or scale.get('enable'):
        lost.append('--auto-scale-lr')
    if lost:
        raise LaunchError(
            f'OneCycleLR sets every learning rate to its own eta_max, so that '
            f'{", ".join(lost)} would change nothing: take LinearLR and '
            'CosineAnnealingLR, which multiply each rate, or leave it out.'
        )


def _multipliers(options):
    """Names of what gives some parameters another learning rate."""
    found = set()
    for key, value in (options or {}).items():
        if isinstance(value, dict):
            found |= _multipliers(value)
        elif key.endswith(('lr_mult', 'decay_rate')) and value != 1:
            found.add(f'{key}={value}')
    return found


def _check_checkpointing(config):
    """torch's reentrant form gives no gradient where no input needs one.

    As of the image: what learns nothing before a module is by its order.
    """
    chosen = config.get('activation_checkpointing')
    if not chosen:
        return
    model = build_model(config)
    model.train()  # which freezes
    learns = {n: p.requires_grad for n, p in model.named_parameters()}
    names = list(learns)
    for module in [chosen] if isinstance(chosen, str) else chosen:
        own = [n for n in names if n.startswith(f'{module}.')]
        before = names[: names.index(own[0])] if own else []
        if any(learns[n] for n in own) and not any(learns[n] for n in before):
            raise LaunchError(
                f'activation_checkpointing={chosen}: nothing learns before '
                f'{module}, so that its input needs no gradient, and then '
                f'torch gives {module} none. Set model.backbone.with_cp=True '
                'instead, which does the same for each block.'
            )


def check_heads(config: Config, checkpoint: str) -> nn.Module:
    """Raise LaunchError if weights are not those of the config's model.

    Upstream leaves out what does not fit and measures random values there.

    Returns:
        Module: The model.
    """
    try:
        return load_model(config, checkpoint)[0]
    except CheckpointError as error:
        if '--trust' not in str(error):
            raise LaunchError(str(error)) from error
    # Upstream reads it, code and all.
    try:
        return load_model(config, checkpoint, trust=True)[0]
    except CheckpointError as error:
        raise LaunchError(str(error)) from error
