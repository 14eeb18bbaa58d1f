"""Trainings of several processes, before they begin."""

import os
import sys

import torch.distributed
from mmengine.config import Config

from ..apis.model import build_model
from ..backbones.loading import LoadingMixin
from ..checkpoint.files import read
from ..checkpoint.weights import unwrap
from ..utils.errors import CheckpointError
from .paths import LaunchError, pretrained_files
from .start import find_start, resumes


def check_cpu_launch(config: Config) -> None:
    """Raise LaunchError if processes on the CPU cannot train together."""
    if 'RANK' not in os.environ:
        raise LaunchError(
            '--launcher pytorch is for processes that torchrun starts: bash '
            'tools/dist_train.sh CONFIG PROCESSES, or leave the launcher out.'
        )
    if "'SyncBN'" in str(config.model):
        raise LaunchError(
            "SyncBN needs GPUs and none is visible: set norm_cfg's type='BN', "
            'or leave the launcher out to run in one process.'
        )


def start_gloo(config: Config) -> None:
    """Let the processes of torchrun meet on a machine without a GPU.

    mmengine's launcher calls torch.cuda.set_device there; it skips all of
    that where the processes have met already.
    """
    torch.distributed.init_process_group('gloo')
    wrapper: dict[str, object] = dict(device_ids=None)
    if not config.get('model_wrapper_cfg'):  # what mmengine would take
        wrapper.update(
            type='MMDistributedDataParallel',
            broadcast_buffers=False,
            find_unused_parameters=config.get('find_unused_parameters', False),
        )
    sys.argv += [
        '--cfg-options',
        *(f'model_wrapper_cfg.{key}={wrapper[key]}' for key in wrapper),
    ]


def let_ddp_expect_freezing(config: Config, args) -> None:
    """Let DDP go on where weights freeze an attention after it has looked.

    One in the place of SE learns in a frozen stage, unless weights bring it;
    those come in when DDP has noted which parameters will have gradients.
    """
    if config.get('find_unused_parameters') or config.get('model_wrapper_cfg'):
        return
    files = [path for _, path in pretrained_files(config.get('model'))]
    files += filter(None, [find_start(config, args)])
    if not resumes(config, args) and not any(map(_holds_attention, files)):
        return
    model = build_model(config)
    model.train()  # which freezes
    late = any(
        block.attention is not None and block.learns_frozen and block.is_frozen
        for backbone in model.modules()
        if isinstance(backbone, LoadingMixin)
        for _, block in backbone.blocks()
    )
    if late:
        config.find_unused_parameters = True
        sys.argv += ['--cfg-options', 'find_unused_parameters=True']


def _holds_attention(path):
    if '://' in path:
        return not path.startswith('torchvision://')
    try:
        names = unwrap(read(path))[0]
    except CheckpointError:  # mmengine may run what we do not
        return True
    return any('.attention.' in name for name in names)
