"""The networks that are compared, as backbones or inside a config's model."""

from argparse import Namespace
from functools import partial

import torch
from mmcv.cnn import fuse_conv_bn
from mmengine.registry import init_default_scope, MODELS
from mmpretrain.models.backbones import ResNet, SEResNet
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d

from ..apis.config import load_config
from ..apis.model import build_model
from ..backbones import BAResNet, BAResNeXt, BridgedBackbone
from ..utils.errors import BanetError
from ..utils.registered import class_of, default_of

ECA = dict(type='EfficientChannelAttention')
V1 = dict(type='BridgeAttentionV1')
V2 = dict(type='BridgeAttentionV2')
# What stands in the place of our backbones, with squeeze-and-excitation.
SE = {BAResNet: 'mmpretrain.SEResNet', BAResNeXt: 'mmpretrain.SEResNeXt'}
# Arguments of BAResNet that mmpretrain's SEResNet does not know.
OURS_ALONE = (
    'attention',
    'warm_start',
    'contract_dilation',
    'deploy',
    'compile_blocks',
)


class BenchmarkError(BanetError):
    """What cannot be measured, with its remedy."""


class StraightBlock(nn.Module):
    """A block as one writes it first, and as the reference code has it."""

    def __init__(self, block: nn.Module):
        super().__init__()
        self.block = block

    def forward(self, x):
        """(N, C_in, H, W) -> (N, C, H / stride, W / stride)."""
        block, out, pooled = self.block, x, []
        for i in range(1, block.num_convs + 1):
            conv = getattr(block, f'conv{i}')
            out = getattr(block, f'norm{i}')(conv(out))
            if i < block.num_convs:
                out = block.relu(out)
            pooled.append(adaptive_avg_pool2d(out, 1).flatten(1))
        out = block.attention(pooled) * out
        shortcut = x if block.downsample is None else block.downsample(x)
        out += shortcut
        return block.relu(out)


def straight(**kwargs) -> nn.Module:
    """BAv2 of :class:`StraightBlock`."""
    model = BAResNet(**kwargs)
    for name, block in list(model.blocks()):
        stage, _, number = name.rpartition('.')
        setattr(model.get_submodule(stage), number, StraightBlock(block))
    return model


# name -> how to build the backbone from ResNet's arguments
NETWORKS = {
    'plain': ResNet,
    'se': SEResNet,
    'eca': partial(BAResNet, attention=ECA),
    'bav1': partial(BAResNet, attention=V1),
    'bav2': BAResNet,
    'bav2-deploy': BAResNet,
    'bav2-straight': straight,
    'bav2-compiled': partial(BAResNet, compile_blocks=True),
}
# Those that can stand in a config's model; 'se' is a class of its own.
ATTENTIONS = {
    'plain': None,
    'eca': ECA,
    'bav1': V1,
    'bav2': V2,
    'bav2-deploy': V2,
}


def build(name: str, args: Namespace) -> nn.Module:
    """Build one of ``NETWORKS`` as the options ask for it.

    For inference all norms are fused into their convs, in every network.
    """
    torch.manual_seed(0)
    infer = args.mode == 'infer'
    model = _from_config(name, args) if args.config else _backbone(name, args)
    model.eval()
    if infer and name == 'bav2-deploy':
        getattr(model, 'backbone', model).switch_to_deploy()
    if infer:
        fuse_conv_bn(model)
    model.to(args.device)
    if args.channels_last:
        model.to(memory_format=torch.channels_last)
    model.train(not infer)
    if infer:
        model.requires_grad_(False)
    return model


def _backbone(name, args):
    try:
        depth = 50 if args.depth is None else args.depth
        return NETWORKS[name](depth=depth, norm_eval=args.norm_eval)
    except (KeyError, ValueError) as error:
        raise BenchmarkError(
            f'{name}: {error}. Leave it out with --models.'
        ) from error


def _from_config(name, args):
    """The config's model with another backbone, without loading weights."""
    config = load_config(args.config)
    init_default_scope(config.get('default_scope') or 'mmengine')
    backbone = config.get('model', {}).get('backbone')
    if backbone is None:
        raise BenchmarkError(
            f'{args.config} has no model.backbone: name a config of a '
            'detector, segmentor or classifier.'
        )
    kind = class_of(MODELS, backbone.type)
    if kind is None or not issubclass(kind, BridgedBackbone):
        raise BenchmarkError(
            f'{args.config} has the backbone {backbone.type}: name a config '
            "with one of banet's, such as BAResNet, in whose place the others "
            'are put.'
        )
    fits = kind in SE if name == 'se' else name in ATTENTIONS
    if not fits:
        raise BenchmarkError(
            f'--config has no model {name} in the place of {backbone.type}: '
            'choose others with --models.'
        )
    backbone.init_cfg = None
    if name == 'se':
        backbone.type = SE[kind]
        for argument in OURS_ALONE:
            backbone.pop(argument, None)
    else:
        own = backbone.get('attention') or default_of(kind, 'attention')
        chosen = ATTENTIONS[name]
        # The ratio and the rest of the config's are bridge attention's.
        if chosen in (V1, V2):
            chosen = {**own, **chosen}
        backbone.attention = chosen
    try:
        return build_model(config)
    except (KeyError, TypeError, ValueError) as error:
        raise BenchmarkError(
            f'{name} in {args.config}: {error}. Leave it out with --models.'
        ) from error
