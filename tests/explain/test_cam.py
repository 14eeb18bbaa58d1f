"""Activation maps against the formulas of their papers."""

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmpretrain.models import MultiLabelLinearClsHead
from runs import IMAGE, ROOT
from torch import nn

from banet.apis.config import load_config
from banet.apis.inference import load
from banet.apis.model import build_model
from banet.explain import cam
from banet.explain.features import feature_maps
from banet.explain.layers import find_layer
from banet.explain.targets import class_scores, find_targets, Target, View


def map_and_gradient(view, layer, score):
    """What ``layer`` gives, and the gradient of ``score`` there."""
    kept = []
    hook = find_layer(view.model, layer).register_forward_hook(
        lambda module, args, output: kept.append(output)
    )
    value = score(view(view.x)[0])
    hook.remove()
    (gradient,) = torch.autograd.grad(value, kept)
    return kept[0], gradient


def grad_cam(view, layer, score):
    """Grad-CAM as its paper writes it (Selvaraju et al., eq. 1 and 2)."""
    maps, gradient = map_and_gradient(view, layer, score)
    weights = gradient.mean((2, 3), keepdim=True)
    heat = F.relu((weights * maps).sum(1))[0].detach().numpy()
    return scaled(heat, view)


def layer_cam(view, layer):
    """LayerCAM of the best box, by its definition (Jiang et al., eq. 4)."""
    maps, gradient = map_and_gradient(
        view, layer, lambda out: out.scores[0].logit()
    )
    heat = (F.relu(gradient) * maps).sum(1)[0]
    return scaled(F.relu(heat).detach().numpy(), view)


def scaled(heat, view):
    """Stretched to 0 to 1 and to the image.

    With the library's 1e-7, which shows: untrained, gradients are small.
    """
    h, w = view.x.shape[2:]
    for resize in (lambda x: cv2.resize(x, (w, h)), lambda x: x):
        heat = heat - heat.min()
        heat = resize(heat / (1e-7 + heat.max()))
    heat = heat[: view.shown.shape[0], : view.shown.shape[1]]
    return heat / heat.max()


def own_pixels(label):
    return lambda out: (out[label] * (out.argmax(0) == label)).sum()


def test_map_of_a_class_is_grad_cams(view):
    seen = view('cls')
    (target,) = find_targets(seen, [7])
    heat = cam.activation_map(seen, target, 'backbone.layer3')
    expected = grad_cam(seen, 'backbone.layer3', lambda out: out[7])
    np.testing.assert_allclose(heat, expected, atol=1e-4)
    assert all(p.grad is None for p in seen.parameters())


def test_map_of_a_segment_is_grad_cams(view):
    seen = view('seg')
    target = find_targets(seen)[0]
    heat = cam.activation_map(seen, target, 'backbone.layer2')
    expected = grad_cam(seen, 'backbone.layer2', own_pixels(target.label))
    np.testing.assert_allclose(heat, expected, atol=1e-4)


@pytest.mark.slow
def test_map_of_a_box_is_grad_cams_of_its_score(view):
    seen = view('det')
    first, second = find_targets(seen, most=2, score=0)
    maps = [
        cam.activation_map(seen, target, 'backbone.layer2')
        for target in (first, second)
    ]
    expected = grad_cam(
        seen, 'backbone.layer2', lambda out: out.scores[0].logit()
    )
    np.testing.assert_allclose(maps[0], expected, atol=1e-3)
    assert np.abs(maps[0] - maps[1]).max() > 0.1


@pytest.mark.slow
def test_eigencam_is_the_first_principal_component(view):
    seen = view('det')
    heat = cam.activation_map(seen, Target(), 'neck.fpn_convs.3', 'eigencam')
    maps = feature_maps(seen, ['neck.fpn_convs.3'])['neck.fpn_convs.3']
    flat = maps.flatten(1).T.numpy()  # (H * W, C)
    flat = flat - flat.mean(0)
    axis = np.linalg.eigh(flat.T.astype(float) @ flat)[1][:, -1]
    along = (flat @ axis).reshape(maps.shape[1:]).astype(np.float32)
    # The sign of an eigenvector is free.
    candidates = [scaled(np.maximum(s * along, 0), seen) for s in (1, -1)]
    assert min(np.abs(heat - c).max() for c in candidates) < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize('method', cam.METHODS)
def test_every_method_gives_a_map_of_the_image(view, method):
    seen = view('cls')
    target = find_targets(seen)[0]
    heat = cam.activation_map(seen, target, 'backbone.layer2', method)
    assert heat.shape == seen.shown.shape[:2]
    assert 0 <= heat.min() <= heat.max() <= 1
    assert heat.max() > 0.5


@pytest.mark.slow
def test_one_stage_detectors_are_explained_through_their_heads(view, tmp_path):
    """mmdet cuts the gradient there when it predicts."""
    config = load_config(
        str(ROOT / 'configs/detection/retinanet_ba-r50_fpn_1x_coco.py')
    )
    config.model.backbone.update(depth=18, init_cfg=None)
    config.model.neck.in_channels = [64, 128, 256, 512]
    for transform in config.test_dataloader.dataset.pipeline:
        if transform.type == 'Resize':
            transform.scale = (256, 256)
    torch.manual_seed(0)
    model = build_model(config)
    torch.save(model.state_dict(), tmp_path / 'x.pth')
    seen = View(load(config, tmp_path / 'x.pth', 'cpu'), cv2.imread(IMAGE))
    target = find_targets(seen, most=1, score=0)[0]
    heat = cam.activation_map(seen, target, 'backbone.layer2', 'layercam')
    expected = layer_cam(seen, 'backbone.layer2')
    np.testing.assert_allclose(heat, expected, atol=1e-3)
    # And the head is as it was: no method of its own is left.
    assert 'predict_by_feat' not in vars(seen.model.bbox_head)


def test_one_channel_tells_two_classes_apart():
    """mmseg's way with out_channels=1: the logit of the second class."""
    logit = torch.tensor([[[2.0, -3.0]]])
    scores = class_scores(logit)
    assert scores.argmax(0).tolist() == [[1, 0]]
    assert torch.equal(class_scores(scores), scores)


class SeveralClasses(nn.Module):
    """A classifier's view of an image of several classes."""

    task, x = 'cls', torch.zeros(1)

    def __init__(self):
        super().__init__()
        self.model = nn.Module()
        self.model.head = MultiLabelLinearClsHead(3, 8)

    def forward(self, x):
        return torch.tensor([[2.0, -4.0, 1.0]])


def test_all_classes_of_an_image_are_explained_by_their_own_score():
    targets = find_targets(SeveralClasses())
    assert [t.label for t in targets] == [0, 2]
    expected = torch.tensor([2.0, 1.0]).sigmoid().tolist()
    assert [t.score for t in targets] == pytest.approx(expected)
    assert [t.label for t in find_targets(SeveralClasses(), score=0.9)] == [0]
