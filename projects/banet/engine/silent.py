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
    wrapper = (config.get('optim_wrapper') or {}).get('type')
    name = getattr(wrapper, '__name__', wrapper)
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
    _check_checkpointing(config)


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
