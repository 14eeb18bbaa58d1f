"""Layers by name, and their outputs as maps."""

from difflib import get_close_matches

from torch import nn, Tensor

from ..utils.errors import BanetError


class LayerError(BanetError):
    """Why a layer cannot be looked at, with the remedy."""


def find_layer(model: nn.Module, name: str) -> nn.Module:
    """The module of that name, such as ``backbone.layer4``.

    Raises:
        LayerError: There is none; the nearest names are listed.
    """
    modules = dict(model.named_modules())
    if name in modules and name:
        return modules[name]
    near = get_close_matches(name, modules, n=5, cutoff=0.4)
    near += [n for n in modules if name and n.endswith(f'.{name}')][:3]
    near = list(dict.fromkeys(filter(None, near)))
    raise LayerError(
        f'the model has no layer {name!r}. '
        + (f'The nearest: {", ".join(near)}.' if near else '')
        + ' Its parts: '
        + ', '.join(n for n, _ in model.named_children())
        + '.'
    )


def stages(model: nn.Module) -> list[str]:
    """Names of the backbone's stages, in order.

    Of networks that are one row of layers, as MobileNetV3, of all of them.
    """
    backbone = getattr(model, 'backbone', model)
    prefix = '' if backbone is model else 'backbone.'
    children = []
    for name, child in backbone.named_children():
        if isinstance(child, nn.ModuleList):
            children += [f'{name}.{i}' for i in range(len(child))]
        else:
            children.append(name)
    groups = [
        [c for c in children if c.startswith(kind)]
        # The norms of ConvNeXt and Swin stand behind their stages.
        for kind in ('layer', 'stages.')
    ]
    return [prefix + name for name in max(groups, key=len) or children[-1:]]


def to_map(output, image_size: tuple[int, int]) -> Tensor:
    """A layer's output as a map, (N, C, H, W).

    Args:
        output: (N, C, H, W); (N, H, W, C), as within ConvNeXt's blocks, or
            (N, H * W, C), as transformers have it, which become (N, C, H, W);
            or a sequence that begins with one.
        image_size (tuple): Height and width of the network's input.

    Raises:
        LayerError: It is something else.
    """
    while isinstance(output, (tuple, list)) and output:
        output = output[0]
    shape = tuple(getattr(output, 'shape', ()))
    sizes = [
        tuple(-(-side // stride) for side in image_size)
        for stride in (1, 2, 4, 8, 16, 32, 64)
    ]
    if len(shape) == 4:
        channels_last = shape[1:3] in sizes and shape[2:] not in sizes
        return output.permute(0, 3, 1, 2) if channels_last else output
    if len(shape) == 3:
        for h, w in sizes:
            if h * w == shape[1]:
                return output.transpose(1, 2).unflatten(2, (h, w))
    raise LayerError(
        f'its output is no map of features, but {shape or type(output)}: '
        'name a layer that gives (N, C, H, W).'
    )
