"""Figures are written for all tasks, or bad choices refused before."""

import cv2
import matplotlib
import numpy as np
import pytest
import torch
from runs import IMAGE, TASKS, tool

import banet
from banet.data.sources import open_source
from banet.explain import cam
from banet.explain.features import draw, feature_maps
from banet.explain.layers import LayerError
from banet.explain.report import report_cam, report_features
from banet.explain.targets import View
from banet.utils.outfolder import OutFolder


def test_feature_maps_are_drawn_in_order_of_their_values():
    """Darkest at the least value: the colours of cividis, nothing else."""
    maps = torch.randn(3, 20, 20)
    own = matplotlib.colormaps['cividis'](np.arange(256), bytes=True)[:, :3]
    for channel, values in ((1, maps[1]), (-1, maps.mean(0))):
        low, high = values.min(), values.max()
        level = ((values - low) / (high - low) * 255).int().numpy()
        # One step of the 256 changes no colour by more than 2.
        difference = draw(maps, channel).astype(int) - own[level]
        assert np.abs(difference).max() <= 2


def test_feature_maps_are_what_the_layer_gave(predictors):
    """Before an in-place layer behind it has taken its memory."""
    view = View(predictors['cls'], cv2.imread(IMAGE))
    name = 'backbone.layer1.0.bn1'
    (maps,) = feature_maps(view, [name]).values()
    seen = []
    handle = view.model.get_submodule(name).register_forward_hook(
        lambda module, args, out: seen.append(out.clone())
    )
    with torch.no_grad():
        view(view.x)
    handle.remove()
    assert maps.min() < 0  # a ReLU follows
    assert torch.equal(maps, seen[0][0])


@pytest.mark.slow
def test_figures_are_written_for_all_tasks(predictors, tmp_path):
    source = open_source(IMAGE)
    for task, predictor in predictors.items():
        out = OutFolder(tmp_path / task)
        (maps,) = report_cam(
            [predictor, predictor], source, out, 'backbone.layer1', score=0,
            most=1,
        )  # fmt: skip
        assert cv2.imread(str(maps)).shape[1] > cv2.imread(IMAGE).shape[1]
        out = OutFolder(tmp_path / f'{task}-features')
        (features,) = report_features(predictor, source, out)
        assert features.stat().st_size > 10_000


def test_bad_choices_are_refused_before_anything_is_written(
    predictors, tmp_path
):
    source, out = open_source(IMAGE), OutFolder(tmp_path / 'out')
    models = [predictors['seg']]
    for options, message in (
        (dict(method='magic'), "method 'magic' is unknown"),
        (dict(layer='backbone.layer9'), 'backbone.layer4'),
        (dict(classes=['cat']), "class 'cat' is unknown"),
    ):
        with pytest.raises(banet.utils.errors.BanetError, match=message):
            list(report_cam(models, source, out, **options))
    models.append(predictors['cls'])
    with pytest.raises(cam.CamError, match='seg, 2 classes; cls, 10'):
        list(report_cam(models, source, out))
    assert not out.path.exists()


@pytest.mark.slow
def test_wrong_layer_ends_in_one_line(checkpoints, tmp_path):
    out = tmp_path / 'out'
    result = tool(
        'explain.py',
        'features',
        TASKS['cls'][0],
        checkpoints['cls'],
        IMAGE,
        '--layer',
        'backbone.layer7',
        '--out',
        out,
    )
    assert result.returncode == 1
    assert "no layer 'backbone.layer7'" in result.stderr
    assert 'Traceback' not in result.stderr
    assert not out.exists()


def test_no_hook_stays_where_a_layer_is_unknown(predictors):
    view = View(predictors['cls'], cv2.imread(IMAGE))
    with pytest.raises(LayerError, match="no layer 'typo'"):
        feature_maps(view, ['backbone.layer1', 'typo'])
    assert not view.model.backbone.layer1._forward_hooks
