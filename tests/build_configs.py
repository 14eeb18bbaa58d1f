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
from inputs import OLD_TORCH
from mmengine.config import Config
from mmengine.registry import DefaultScope, MODELS
from once import leave_values_and_norms, read_metafiles
from torch.utils.flop_counter import FlopCounterMode

leave_values_and_norms()
read_metafiles()


def count(forward, size, backbone):
    """Multiply-adds of one image on the meta device, all and attention's."""
    mods = backbone if OLD_TORCH else None  # later ones find parts alone
    counter = FlopCounterMode(mods, display=False)
    with counter, torch.no_grad():
        forward(torch.zeros(1, 3, *size, device='meta'))
    attention = sum(
        sum(counts.values())
        for name, counts in counter.get_flop_counts().items()
        if name.endswith('.attention')
    )
    return counter.get_total_flops() // 2, attention // 2


def macs_and_widths(cfg, model, size):
    """Multiply-adds as the task pages count them; widths of the maps."""
    forward = dict(
        mmpretrain=lambda x: model.head(model.extract_feat(x)),
        mmdet=lambda x: model.neck(model.backbone(x)),
        mmseg=lambda x: model.decode_head(model.backbone(x)),
    )[cfg.default_scope]
    model.to('meta')
    maps = []
    hook = model.backbone.register_forward_hook(lambda *a: maps.extend(a[2]))
    macs = count(forward, size, model.backbone)
    hook.remove()
    return *macs, [m.shape[1] for m in maps]


def parameters(model):
    return sum(p.numel() for p in model.parameters())


def added_by_attention(cfg, backbone, size, macs):
    """Parameters and multiply-adds beyond those of the plain backbone."""
    if cfg.model.backbone.type not in REPLACED:
        modules = (block.attention for _, block in backbone.blocks())
        return sum(parameters(m) for m in modules if m is not None), macs
    plain = MODELS.build(dict(cfg.model.backbone, attention=None))
    plain = plain.to('meta')
    plain.eval()
    return (
        parameters(backbone) - parameters(plain),
        count(backbone, size, backbone)[0] - count(plain, size, plain)[0],
    )


def describe(path):
    cfg = Config.fromfile(path)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model).eval()
        backbone = model.backbone
        side = 32 if 'cifar' in path else 224
        size = dict(
            mmpretrain=(side, side),
            mmdet=(800, 1344),
            mmseg=cfg.get('crop_size'),
        )[cfg.default_scope]
        macs, more, widths = macs_and_widths(cfg, model, size)
        more_params, more_macs = added_by_attention(cfg, backbone, size, more)
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


# Networks whose own squeeze-and-excitation the bridge replaces.
REPLACED = 'BAMobileNetV3', 'BAEfficientNet', 'BAEfficientNetV2'

for path in sys.argv[1:]:
    assert 'banet' not in sys.modules
    child = os.fork()
    if child == 0:
        print(json.dumps({'path': path, **describe(path)}), flush=True)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(f'{path} cannot be built')
