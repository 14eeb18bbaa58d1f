"""Class activation maps of classifiers, segmentors and detectors, with
pytorch-grad-cam (https://github.com/jacobgil/pytorch-grad-cam)."""

from contextlib import contextmanager
from dataclasses import dataclass
from typing import Optional

import numpy as np
import torch
from torch import nn, Tensor

from ..compat import need
from ..errors import BanetError
from ..inference import Predictor
from .layers import find_layer, LayerError, stages, to_map

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


@dataclass(frozen=True)
class Target:
    """What a map explains: the score of a class, or of one box.

    Attributes:
        label (int | None): Index of the class; None: of no class.
        score (float | None): What the network gives it.
        box (ndarray | None): x1, y1, x2, y2 as parts of the width and height
            of what the network sees; detection only.
    """

    label: Optional[int] = None
    score: Optional[float] = None
    box: Optional[np.ndarray] = None


class View(nn.Module):
    """A network as pytorch-grad-cam wants it: image in, scores out.

    Args:
        predictor (Predictor): Whose network it is.
        image (ndarray): (H, W, 3), uint8, BGR.

    Attributes:
        shown (ndarray): What the network sees of the image, (h, w, 3), RGB.
        x (Tensor): The same, normalised and padded, (1, 3, h', w').
    """

    def __init__(self, predictor: Predictor, image: np.ndarray):
        super().__init__()
        self.model, self.task = predictor.model, predictor.task
        inputs = predictor.preprocess(image)
        self.shown = inputs['inputs'][0].numpy().transpose(1, 2, 0)[..., ::-1]
        data = predictor.normalize(inputs)
        self.x = data['inputs'].requires_grad_()
        self._samples = data['data_samples']

    def forward(self, x: Tensor):
        """Scores: (1, K), (1, K, h, w), or the boxes of one image."""
        if self.task == 'det':
            with _differentiable():
                samples = self.model.predict(x, self._samples, rescale=False)
            return [samples[0].pred_instances]
        return self.model(x, mode='tensor')


@contextmanager
def _differentiable():
    """Let gradients reach through the heads of one-stage detectors.

    mmdet detaches their outputs when it predicts.
    """
    from mmdet.models.dense_heads import base_dense_head as module

    own = module.select_single_mlvl
    module.select_single_mlvl = lambda levels, i, detach=True: own(
        levels, i, detach=False
    )
    try:
        yield
    finally:
        module.select_single_mlvl = own


def find_targets(
    view: View,
    wanted: Optional[list[int]] = None,
    most: int = 3,
    score: float = 0.3,
) -> list[Target]:
    """What is worth a map in an image, best first.

    Args:
        view (View): The network and the image.
        wanted (list[int] | None): Classes to explain. None: the best class,
            the classes with most pixels, or any box's. Defaults to None.
        most (int): Targets at most. Defaults to 3.
        score (float): Boxes of less are left out. Defaults to 0.3.
    """
    with torch.no_grad():
        output = view(view.x)[0]
    if view.task == 'cls':
        scores = output.softmax(0)
        labels = [scores.argmax().item()] if wanted is None else wanted
        return [Target(i, scores[i].item()) for i in labels]
    if view.task == 'seg':
        share = output.argmax(0).flatten().bincount(minlength=len(output))
        share = share / share.sum()
        labels = share.argsort(descending=True).tolist()
        labels = [i for i in labels if share[i] > 0][:most]
        labels = labels if wanted is None else wanted
        return [Target(i, share[i].item()) for i in labels if share[i] > 0]
    return [
        Target(label, value, box)
        for label, value, box in _boxes(view, output)
        if value >= score and (wanted is None or label in wanted)
    ][:most]


def _boxes(view, found):
    h, w = view.shown.shape[:2]
    boxes = found.bboxes.detach().cpu().numpy() / [w, h, w, h]
    return zip(found.labels.tolist(), found.scores.tolist(), boxes)


def follow(view: View, targets: list[Target]) -> list[Optional[Target]]:
    """The same targets in another network's view of the same image.

    Boxes are the same if they are of one class and overlap by half (IoU). None
    stands for what this network does not find.
    """
    if view.task != 'det':
        found = {
            t.label: t for t in find_targets(view, [t.label for t in targets])
        }
        return [found.get(target.label) for target in targets]
    with torch.no_grad():
        candidates = [Target(*c) for c in _boxes(view, view(view.x)[0])]
    result = []
    for target in targets:
        overlap, best = max(
            (
                (_iou(target.box, c.box), i)
                for i, c in enumerate(candidates)
                if c.label == target.label
            ),
            default=(0, None),
        )
        result.append(candidates[best] if overlap >= 0.5 else None)
    return result


def _iou(a, b):
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    both = np.prod(np.clip(high - low, 0, None))
    areas = [np.prod(box[2:] - box[:2]) for box in (a, b)]
    return both / (sum(areas) - both)


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
            own = output.argmax(0) == target.label
            return output[target.label][own].sum()
        # The same box again, wherever it stands in this run.
        distance = [
            np.abs(box - target.box).max() if label == target.label else np.inf
            for label, _, box in _boxes(view, output)
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
    last = list(dict(model.backbone.named_children()))[-1]
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
    h, w = view.shown.shape[:2]
    return heat[:h, :w]


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
