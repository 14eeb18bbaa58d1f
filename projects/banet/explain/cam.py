"""Class activation maps of classifiers, segmentors and detectors, with
pytorch-grad-cam (https://github.com/jacobgil/pytorch-grad-cam)."""

import numpy as np
import torch
from torch import nn, Tensor

from ..utils.compat import need
from ..utils.errors import BanetError
from .layers import find_layer, LayerError, stages, to_map
from .targets import boxes_of, class_scores, Target, View

# name on the command line -> class in pytorch_grad_cam
METHODS = {
    'gradcam': 'GradCAM',
    'gradcam++': 'GradCAMPlusPlus',
    'hirescam': 'HiResCAM',
    'layercam': 'LayerCAM',
    'xgradcam': 'XGradCAM',
    'eigengradcam': 'EigenGradCAM',
    'eigencam': 'EigenCAM',
}
# The one that looks at activations only: one map, for no class or box.
WITHOUT_TARGET = 'eigencam'


class CamError(BanetError):
    """Why there is no map, with the remedy."""


class _Score:
    """A target as pytorch-grad-cam calls it: output of one image to score."""

    def __init__(self, view, target):
        self.view, self.target = view, target

    def __call__(self, output):
        view, target = self.view, self.target
        if view.task == 'cls':
            return output[target.label]
        if view.task == 'seg':
            # The pixels of the class, as in the library's own example.
            output = class_scores(output)
            own = output.argmax(0) == target.label
            return output[target.label][own].sum()
        # The same box again, wherever it stands in this run.
        distance = [
            np.abs(box - target.box).max() if label == target.label else np.inf
            for label, _, box in boxes_of(view, output)
        ]
        # Its log-odds: the score's own gradient vanishes where it is sure.
        return output.scores[int(np.argmin(distance))].logit(1e-6)


def check_method(method: str) -> None:
    """Raise CamError if there is no such method."""
    if method not in METHODS:
        raise CamError(
            f'method {method!r} is unknown: choose from {", ".join(METHODS)}.'
        )


def default_layer(model: nn.Module) -> str:
    """The layer that is explained if none is named: the last stage.

    Its norm where the stage gives more than a map, as in Swin.
    """
    stage = stages(model)[-1]
    backbone = model.get_submodule('backbone')
    last = list(dict(backbone.named_children()))[-1]
    plain = isinstance(find_layer(model, stage), nn.Sequential)
    return f'backbone.{last}' if 'norm' in last and not plain else stage


def default_method(task: str) -> str:
    """The method if none is named.

    Grad-CAM weighs a channel by its mean gradient over the whole map; the
    score of a box depends on a corner of it, so LayerCAM, which weighs every
    place by itself, explains detectors.
    """
    return 'layercam' if task == 'det' else 'gradcam'


def activation_map(
    view: View, target: Target, layer: str, method: str = 'gradcam'
) -> np.ndarray:
    """The class activation map of one target.

    Args:
        view (View): The network and the image.
        target (Target): Of :func:`find_targets` or :func:`follow`.
        layer (str): Name in the model, such as ``backbone.layer4``.
        method (str): One of ``METHODS``. Defaults to ``'gradcam'``.

    Returns:
        ndarray: (h, w) of ``view.shown``, from 0 to 1 at its largest.

    Raises:
        LayerError: The layer is not there, is used more than once, gives no
            map, or the score does not depend on it.
        CamError: There is no such method, or pytorch-grad-cam is missing.
    """
    check_method(method)
    module = find_layer(view.model, layer)
    library = need('pytorch_grad_cam', 'grad-cam')
    size = tuple(view.x.shape[2:])
    score = _Score(view, target)
    _check_layer(
        view, module, layer, None if method == WITHOUT_TARGET else score
    )
    # Cloned: a layer behind may work in place.
    with getattr(library, METHODS[method])(
        view, [module], reshape_transform=lambda y: to_map(y, size).clone()
    ) as cam:
        heat = cam(view.x, [score])[0]
    view.zero_grad(set_to_none=True)  # of the weights
    h, w = view.shown.shape[:2]
    heat = heat[:h, :w]  # without the padding
    return heat / (heat.max() or 1)


def _check_layer(view, module, layer, score):
    """Raise LayerError unless the layer gives one map, on which the score,
    if there is one, depends: from one run of the network."""
    outputs, size = [], tuple(view.x.shape[2:])
    hook = module.register_forward_hook(
        lambda module, args, output: outputs.append(output)
    )
    try:
        with torch.set_grad_enabled(score is not None):
            result = view(view.x)
    finally:
        hook.remove()
    if len(outputs) != 1:
        raise LayerError(
            f'layer {layer} runs {len(outputs)} times per image: name one '
            f'that runs once, such as {default_layer(view.model)}.'
        )
    try:
        h, w = to_map(outputs[0], size).shape[2:]
    except LayerError as error:
        raise LayerError(f'layer {layer}: {error}') from error
    if h * w == 1:
        raise LayerError(
            f'layer {layer} leaves one pixel of an image of {size[0]} x '
            f'{size[1]}: name an earlier one, such as '
            f'{", ".join(stages(view.model)[:-1][-2:])}.'
        )

    if score is None:
        return
    if not isinstance(outputs[0], Tensor):
        raise LayerError(
            f'layer {layer} gives several tensors, of which gradients are '
            'not defined: name one with a single output, or take '
            f'--method {WITHOUT_TARGET}.'
        )
    value = score(result[0])
    gradient = (
        torch.autograd.grad(value, outputs[0], allow_unused=True)[0]
        if value.requires_grad and outputs[0].requires_grad
        else None
    )
    if gradient is None:
        raise LayerError(
            f'the score does not depend on layer {layer}: name one before '
            f'the heads; or take --method {WITHOUT_TARGET}, which needs no '
            'gradient, where a head cuts it off.'
        )
