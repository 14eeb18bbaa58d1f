"""Runs that would silently do another thing than what was asked for."""

from mmengine.config import Config
from mmengine.device import get_device

from ..apis.model import load_model
from ..utils.errors import CheckpointError
from .paths import LaunchError


def check_silent(config: Config, args) -> None:
    """Raise LaunchError for options that cannot do what they say.

    Args:
        config (Config): With the command line's options merged in.
        args (Namespace): Parsed by the upstream script's own parser.
    """
    wrapper = (config.get('optim_wrapper') or {}).get('type')
    name = getattr(wrapper, '__name__', wrapper)
    half = getattr(args, 'amp', False) or name == 'AmpOptimWrapper'
    if half and get_device() == 'cpu' and not hasattr(args, 'checkpoint'):
        raise LaunchError(
            'training in half precision (--amp, AmpOptimWrapper) needs a GPU, '
            'and none is visible: leave --amp out, or set '
            '--cfg-options optim_wrapper.type=OptimWrapper '
            '(CPUAmpOptimWrapper trains in bfloat16 on a CPU).'
        )
    roi_head = (config.get('model') or {}).get('roi_head') or {}
    if getattr(args, 'tta', False) and 'mask_head' in roi_head:
        raise LaunchError(
            "mmdet's test-time augmentation merges boxes and no masks: leave "
            '--tta out, or test a model without a mask head.'
        )
    _check_checkpointing(config)


def _check_checkpointing(config):
    """torch's reentrant form gives no gradient where no input needs one."""
    chosen = config.get('activation_checkpointing')
    backbone = (config.get('model') or {}).get('backbone') or {}
    frozen = backbone.get('frozen_stages', -1)
    if chosen and isinstance(frozen, int) and frozen >= 0:
        raise LaunchError(
            f'activation_checkpointing={chosen} behind '
            f'frozen_stages={frozen}: what follows the frozen layers would '
            'learn nothing. Set model.backbone.with_cp=True instead, which '
            'does the same for each block, or frozen_stages=-1.'
        )


def check_heads(config: Config, checkpoint: str) -> None:
    """Raise LaunchError if weights are not those of the config's model.

    Upstream leaves out what does not fit and measures random values there.
    """
    if '://' in checkpoint:  # fetched by mmengine
        return
    try:
        load_model(config, checkpoint)
    except CheckpointError as error:
        if '--trust' in str(error):
            return  # upstream reads it, code and all
        raise LaunchError(str(error)) from error
