"""Which layers can be explained, and what is found in them."""

import copy

import cv2
import numpy as np
import pytest
import torch
from contract import V2
from mmengine.registry import MODELS
from mmengine.structures import InstanceData
from runs import IMAGE
from small_archs import SWIN
from torch import nn

from banet.explain import cam
from banet.explain.layers import LayerError, stages, to_map
from banet.explain.targets import find_targets, follow, Target, View


@pytest.mark.slow
@pytest.mark.parametrize(
    'backbone,layer,width',
    [
        (dict(type='BAResNet', depth=18), 'backbone.layer4', 512),
        (dict(type='BAConvNeXt', arch='atto'), 'backbone.stages.3', 320),
        (
            dict(type='BASwinTransformer', arch=SWIN, **V2),
            'backbone.norm3',
            128,
        ),
        (dict(type='BAMobileNetV3', arch='small'), 'backbone.layer12', 576),
        (
            dict(type='BAEfficientNet', arch='thin', out_indices=(5,)),
            'backbone.layers.5',
            64,
        ),
    ],
)
def test_default_layer_of_every_family_gives_a_map(
    predictors, backbone, layer, width
):
    """In a classifier, at the layer that is taken if none is named."""
    with predictors['cls'].scope():
        model = MODELS.build(
            dict(
                type='mmpretrain.ImageClassifier',
                backbone=backbone,
                # ConvNeXt pools by itself.
                neck=None
                if backbone['type'] == 'BAConvNeXt'
                else dict(type='GlobalAveragePooling'),
                head=dict(
                    type='LinearClsHead', num_classes=10, in_channels=width
                ),
                data_preprocessor=dict(type='ClsDataPreprocessor'),
            )
        )
    assert cam.default_layer(model) == layer
    look = copy.copy(predictors['cls'])
    look.model = model.eval()
    seen = View(look, cv2.imread(IMAGE))
    # Of some classes only negative evidence may be found.
    heats = [
        cam.activation_map(seen, target, layer)
        for target in find_targets(seen, range(6))
    ]
    assert all(heat.shape == seen.shown.shape[:2] for heat in heats)
    assert max(heat.max() for heat in heats) > 0.5
    assert max(heat.std() for heat in heats) > 0.01


def test_swins_tokens_are_maps_again():
    maps = torch.randn(2, 5, 8, 12)
    tokens = maps.flatten(2).transpose(1, 2)
    assert torch.equal(to_map(tokens, (61, 93)), maps)


def test_channels_that_stand_last_come_second():
    """Within ConvNeXt's blocks."""
    maps = torch.randn(2, 5, 8, 12)
    assert torch.equal(to_map(maps.permute(0, 2, 3, 1), (61, 93)), maps)
    assert torch.equal(to_map(maps, (61, 93)), maps)
    square = torch.randn(1, 8, 8, 8)
    assert torch.equal(to_map(square, (64, 64)), square)


def test_stages_are_the_backbones(predictors):
    for predictor in predictors.values():
        assert stages(predictor.model) == [
            f'backbone.layer{i}' for i in (1, 2, 3, 4)
        ]


@pytest.mark.slow
@pytest.mark.parametrize(
    'layer,message',
    [
        ('backbone.layer5', 'backbone.layer4'),
        ('layer2', 'backbone.layer2'),
        ('rpn_head.rpn_conv', 'times per image'),
        ('roi_head.bbox_head.fc_cls', 'is no map of features'),
        ('roi_head.mask_head.convs.0', 'does not depend on layer'),
    ],
)
def test_layers_that_cannot_be_explained_are_named(view, layer, message):
    seen = view('det')
    target = find_targets(seen, score=0)[0]
    with pytest.raises(LayerError, match=message):
        cam.activation_map(seen, target, layer)


def test_what_is_shown_is_the_image_in_rgb(predictors):
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    shown = View(predictors['seg'], image).shown  # whose test is at full size
    assert np.array_equal(shown, image[..., ::-1])


class Boxes(nn.Module):
    """A detector's view of an image of 10 x 10 with two boxes."""

    task, x, shown = 'det', torch.zeros(1), np.zeros((10, 10, 3))

    def forward(self, x):
        boxes = torch.tensor([[0.0, 0, 10, 5], [0, 0, 10, 5]])
        scores, labels = torch.tensor([0.9, 0.8]), torch.tensor([0, 1])
        return [InstanceData(bboxes=boxes, scores=scores, labels=labels)]


@pytest.mark.parametrize(
    'label,height,found',
    [(0, 0.26, 0), (1, 0.26, 1), (0, 0.24, None), (2, 0.5, None)],
)
def test_same_box_is_of_one_class_and_overlaps_by_half(label, height, found):
    """A box of half the image, and one of its upper part: IoU 0.52, 0.48."""
    target = Target(label, 1.0, np.array([0, 0, 1, height]))
    (same,) = follow(Boxes(), [target])
    assert found is same is None or same.label == found


@pytest.mark.slow
def test_the_same_box_is_found_in_another_network(view):
    seen = view('det')
    targets = find_targets(seen, most=3, score=0)
    for target, found in zip(targets, follow(seen, targets)):
        assert np.array_equal(found.box, target.box)
    away = Target(targets[0].label, 1.0, np.array([0, 0, 0.001, 0.001]))
    assert follow(seen, [away]) == [None]
