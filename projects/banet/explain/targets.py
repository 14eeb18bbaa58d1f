"""What class activation maps explain: a network's view, and its scores."""

from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import Optional

import numpy as np
import torch
from torch import nn, Tensor

from ..apis.predictor import Predictor

# mmdet's function by which heads take one image's levels out of a batch.
DETACHING = 'select_single_mlvl'


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
            with _differentiable(self.model):
                samples = self.model.predict(x, self._samples, rescale=False)
            return [samples[0].pred_instances]
        return self.model(x, mode='tensor')


def _attached(select):
    return lambda levels, i, detach=True: select(levels, i, detach=False)


@contextmanager
def _differentiable(model):
    """Let gradients reach through the heads of one-stage detectors.

    mmdet detaches their outputs when it predicts. Each head of this model
    gets a method of its own that does not: other models are as they were.
    """
    heads = []
    for head in model.modules():
        method = getattr(type(head), 'predict_by_feat', None)
        known = getattr(method, '__globals__', {})
        if DETACHING in known:
            own = FunctionType(
                method.__code__,
                {**known, DETACHING: _attached(known[DETACHING])},
                method.__name__,
                method.__defaults__,
                method.__closure__,
            )
            own.__kwdefaults__ = method.__kwdefaults__
            head.predict_by_feat = MethodType(own, head)
            heads.append(head)
    try:
        yield
    finally:
        for head in heads:
            del head.predict_by_feat


def class_scores(output: Tensor) -> Tensor:
    """Scores of a segmentor's classes, (K, h, w).

    One that tells two classes apart by one channel has the logit of the
    second one there.
    """
    return torch.cat([-output, output]) if len(output) == 1 else output


def _is_multi_label(model):
    kinds = type(getattr(model, 'head', None)).__mro__
    return any(kind.__name__ == 'MultiLabelClsHead' for kind in kinds)


def find_targets(
    view: View,
    wanted: Optional[Sequence[int]] = None,
    most: int = 3,
    score: float = 0.3,
) -> list[Target]:
    """What is worth a map in an image, best first.

    Args:
        view (View): The network and the image.
        wanted (Sequence[int] | None): Classes to explain. None: the best
            class, or those of an image with several, the classes with most
            pixels, or any box's. Defaults to None.
        most (int): Boxes at most; classes of a segmentor or of an image with
            several, if none are wanted. Defaults to 3.
        score (float): Boxes, and classes of an image with several, of less
            are left out. Defaults to 0.3.
    """
    with torch.no_grad():
        output = view(view.x)[0]
    if view.task == 'cls':
        if _is_multi_label(view.model):
            scores = output.sigmoid()
            labels = scores.argsort(descending=True)[:most].tolist()
            labels = [i for i in labels if scores[i] >= score] or labels[:1]
        else:
            scores = output.softmax(0)
            labels = [scores.argmax().item()]
        labels = labels if wanted is None else wanted
        return [Target(i, scores[i].item()) for i in labels]
    if view.task == 'seg':
        output = class_scores(output)
        share = output.argmax(0).flatten().bincount(minlength=len(output))
        share = share / share.sum()
        labels = share.argsort(descending=True).tolist()
        labels = [i for i in labels if share[i] > 0][:most]
        labels = labels if wanted is None else wanted
        return [Target(i, share[i].item()) for i in labels if share[i] > 0]
    return [
        Target(label, value, box)
        for label, value, box in boxes_of(view, output)
        if value >= score and (wanted is None or label in wanted)
    ][:most]


def boxes_of(view, found):
    h, w = view.shown.shape[:2]
    boxes = found.bboxes.detach().cpu().numpy() / [w, h, w, h]
    return zip(found.labels.tolist(), found.scores.tolist(), boxes)


def follow(view: View, targets: list[Target]) -> list[Optional[Target]]:
    """The same targets in another network's view of the same image.

    Boxes are the same if they are of one class and overlap by half (IoU). None
    stands for what this network does not find.
    """
    if view.task != 'det':
        labels = [t.label for t in targets if t.label is not None]
        found = {t.label: t for t in find_targets(view, labels)}
        return [found.get(target.label) for target in targets]
    with torch.no_grad():
        candidates = [Target(*c) for c in boxes_of(view, view(view.x)[0])]
    result = []
    for target in targets:
        overlap, best = max(
            (
                (_iou(target.box, c.box), i)
                for i, c in enumerate(candidates)
                if c.label == target.label
            ),
            default=(0, -1),
        )
        result.append(candidates[best] if overlap >= 0.5 else None)
    return result


def _iou(a, b):
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    both = np.prod(np.clip(high - low, 0, None))
    areas = [np.prod(box[2:] - box[:2]) for box in (a, b)]
    return both / (sum(areas) - both)
