"""What checkpoints hold, in the format of each repository and library."""

from resnets import bridged, trained, V1, V2
from torch import nn

from banet import BAResNetV1d
from banet.backbones import names


def classifier(attention=V2, depth=18, **kwargs):
    """State dict of a bare network with ``fc``, under our names."""
    model = bridged(depth, attention=attention, **kwargs)
    fc = trained(nn.Linear(model.feat_dim, 7))
    return {
        **model.state_dict(),
        **{f'fc.{n}': v for n, v in fc.state_dict().items()},
    }


def eccv(state_dict):
    """Names of the ECCV repository, for BasicBlocks of version 1."""
    parts = (
        ('.attention.reductions.0.', '.ba.pre_fusions.0.0.'),
        ('.attention.norms.0.', '.ba.pre_fusions.0.1.'),
        ('.attention.reductions.1.', '.ba.cur_fusion.0.'),
        ('.attention.norms.1.', '.ba.cur_fusion.1.'),
        ('.attention.generation.', '.ba.generation.1.'),
    )
    renamed = {}
    for name, value in state_dict.items():
        for ours, theirs in parts:
            name = name.replace(ours, theirs)
        renamed[name] = value
    return renamed


def reference(state_dict):
    return {
        theirs: state_dict[ours]
        for ours, theirs in names.to_reference(state_dict).items()
    }


def timm_deep(state_dict):
    """timm's names of a ResNet-50-D."""
    renamed = {}
    for name, value in state_dict.items():
        for ours, theirs in (
            ('stem.0.conv', 'conv1.0'),
            ('stem.0.bn', 'conv1.1'),
            ('stem.1.conv', 'conv1.3'),
            ('stem.1.bn', 'conv1.4'),
            ('stem.2.conv', 'conv1.6'),
            ('stem.2.bn', 'bn1'),
            ('layer1.0.downsample.1.', 'layer1.0.downsample.2.'),
            ('layer1.0.downsample.0.', 'layer1.0.downsample.1.'),
        ):
            if name.startswith(ours):
                name = name.replace(ours, theirs)
                break
        renamed[name] = value
    return renamed


def module(state_dict):
    return {f'module.{name}': value for name, value in state_dict.items()}


def mm(state_dict):
    return {
        ('head.' if name.startswith('fc.') else 'backbone.') + name: value
        for name, value in state_dict.items()
    }


# name -> (what the file holds, what it is recognised as)
FORMATS = {
    'BAv2 repository, v2': (
        lambda: {'model': reference(classifier()), 'max_accuracy': 80.5},
        ("BAv2, the BAv2 repository's", 'BridgeAttentionV2'),
    ),
    'BAv2 repository, v1': (
        lambda: {'model': module(reference(classifier(V1)))},
        ("BAv1, the BAv2 repository's", 'BridgeAttentionV1'),
    ),
    'ECCV repository': (
        lambda: {'state_dict': module(eccv(classifier(V1))), 'epoch': 99},
        ("BAv1, the ECCV repository's", 'BridgeAttentionV1'),
    ),
    'bare reference': (
        lambda: reference(classifier(depth=50)),
        ("BAv2, the BAv2 repository's", 'BridgeAttentionV2'),
    ),
    'torchvision': (lambda: classifier(None), ('torchvision', None)),
    'timm': (
        lambda: {'state_dict_ema': classifier(None)},
        ('torchvision, timm', None),
    ),
    'timm, deep stem': (
        lambda: timm_deep(classifier(None, 50, cls=BAResNetV1d)),
        ('timm', None),
    ),
    'mm': (
        lambda: {'meta': {'epoch': 3}, 'state_dict': mm(classifier())},
        ("mm, the backbone under 'backbone.'", 'BridgeAttentionV2'),
    ),
}
