"""Build every config given, each in a process that never imported banet.

Prints one json line per config: what its name can be checked against.
"""

import json
import os
import sys

import mmdet.models  # noqa: F401
import mmpretrain.models  # noqa: F401
import mmseg.models  # noqa: F401
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope, MODELS
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

# Values are not looked at, and take most of the time.
for kind in ('kaiming_uniform_', 'uniform_', 'normal_', 'trunc_normal_'):
    setattr(nn.init, kind, lambda tensor, *args, **kwargs: tensor)


def count(forward, size):
    """Multiply-adds of one image on the meta device."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        forward(torch.zeros(1, 3, *size, device='meta'))
    return counter.get_total_flops() // 2


def macs_and_widths(cfg, model, side):
    """Multiply-adds as the task pages count them, widths of the maps, size."""
    size, forward = dict(
        mmpretrain=(
            (side, side),
            lambda x: model.head(model.extract_feat(x)),
        ),
        mmdet=((800, 1344), lambda x: model.neck(model.backbone(x))),
        mmseg=(
            cfg.get('crop_size'),
            lambda x: model.decode_head(model.backbone(x)),
        ),
    )[cfg.default_scope]
    model.to('meta')
    maps = []
    hook = model.backbone.register_forward_hook(lambda *a: maps.extend(a[2]))
    macs = count(forward, size)
    hook.remove()
    return macs, [m.shape[1] for m in maps], size


def parameters(model):
    return sum(p.numel() for p in model.parameters())


def added_by_attention(cfg, backbone, size):
    """Parameters and multiply-adds beyond those of the plain backbone."""
    plain = MODELS.build(dict(cfg.model.backbone, attention=None))
    plain = plain.to('meta')
    plain.eval()
    return (
        parameters(backbone) - parameters(plain),
        count(backbone, size) - count(plain, size),
    )


def describe(path):
    cfg = Config.fromfile(path)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model).eval()
        backbone = model.backbone
        side = 32 if 'cifar' in path else 224
        macs, widths, size = macs_and_widths(cfg, model, side)
        more_params, more_macs = added_by_attention(cfg, backbone, size)
    if hasattr(model, 'neck') and hasattr(model.neck, 'lateral_convs'):
        expected = [m.conv.in_channels for m in model.neck.lateral_convs]
        widths = widths[-len(expected) :]  # RetinaNet starts at stage 2
    elif hasattr(model, 'decode_head'):
        expected = model.decode_head.in_channels
        if not isinstance(expected, list):
            expected, widths = [expected], widths[-1:]
    else:
        expected = [model.head.in_channels]
    arguments = cfg.model.backbone
    return dict(
        backbone=type(backbone).__name__,
        arch=arguments.get('arch', arguments.get('depth')),
        attentions=sorted(
            {
                type(block.attention).__name__
                for _, block in backbone.blocks()
                if block.attention is not None
            }
        ),
        widths=widths,
        expected_widths=expected,
        imports=list(cfg.custom_imports['imports']),
        params=parameters(model),
        macs=macs,
        plain_params=parameters(model) - more_params,
        plain_macs=macs - more_macs,
    )


for path in sys.argv[1:]:
    assert 'banet' not in sys.modules
    child = os.fork()
    if child == 0:
        print(json.dumps({'path': path, **describe(path)}), flush=True)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(f'{path} cannot be built')
