"""tools/explain.py: the numbers behind its figures, and its errors."""

import copy
import csv

import cv2
import matplotlib
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from runs import ROOT, TASKS, tool
from torch import nn

import banet
from banet import BAResNet
from banet.config import load_config
from banet.explain import cam
from banet.explain.bridge import BridgeError, record_gates, selection
from banet.explain.features import draw, feature_maps
from banet.explain.layers import find_layer, LayerError, stages, to_map
from banet.explain.report import report_bridge, report_cam, report_features
from banet.inference import load
from banet.model import build_model
from banet.outfolder import OutFolder
from banet.sources import open_source

IMAGE = str(ROOT / 'data/nuclei_mini/images/val/003cee89357d9fe1.png')


@pytest.fixture(scope='module')
def predictors(checkpoints):
    return {
        task: banet.load(config, checkpoints[task], 'cpu')
        for task, (config, _) in TASKS.items()
    }


@pytest.fixture
def view(predictors):
    """The network of a task, looking at the image."""
    return lambda task: cam.View(predictors[task], cv2.imread(IMAGE))


def rows_of(path):
    with open(path) as file:
        return list(csv.DictReader(file))


def test_selection_is_the_written_out_formula():
    model = BAResNet(50).double()
    rows = {(r.block, r.feature): r for r in selection(model)}
    assert len(rows) == 16 * 3
    for name, block in model.blocks():
        a = block.attention.selection.weight[0].tolist()
        for i, layer in enumerate(block.attention.reductions):
            row = rows[name, i + 1]
            norm = sum(w**2 for w in layer.weight.flatten().tolist()) ** 0.5
            assert row.stage == name.split('.')[0]
            assert row.a == a[i]
            assert row.norm == pytest.approx(norm, rel=1e-12)
            assert row.effective == pytest.approx(abs(a[i]) * norm, rel=1e-12)


def test_bav1_has_its_norms_in_the_effective_weight():
    model = BAResNet(18, attention=dict(type='BridgeAttentionV1')).eval()
    attention = model.layer1[0].attention
    for norm in attention.norms:
        nn.init.uniform_(norm.weight)
        nn.init.uniform_(norm.running_var, 1, 2)
    for row, norm, layer in zip(
        selection(model), attention.norms, attention.reductions
    ):
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        expected = (scale[:, None] * layer.weight).norm().item()
        assert np.isnan(row.a)
        assert row.effective == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    'change,message',
    [
        (dict(attention=None), 'no bridge attention'),
        (dict(deploy=True), 'before tools/deploy.py'),
    ],
)
def test_networks_without_bridges_are_refused(change, message):
    with pytest.raises(BridgeError, match=message):
        selection(BAResNet(18, **change))


def test_gates_are_those_of_the_block():
    model = BAResNet(18, out_indices=(0,)).eval()
    images = torch.randn(3, 3, 64, 64)
    with torch.no_grad(), record_gates(model) as gates:
        model(images[:2])
        model(images[2:])
    block, x = (
        model.layer1[0],
        model.maxpool(F.relu(model.norm1(model.conv1(images)))),
    )
    with torch.no_grad():
        first = F.relu(block.norm1(block.conv1(x)))
        second = block.norm2(block.conv2(first))
        expected = block.attention([first.mean((2, 3)), second.mean((2, 3))])
    assert list(gates)[:2] == ['layer1.0', 'layer1.1']
    np.testing.assert_allclose(
        gates['layer1.0'], expected.flatten(1).numpy(), rtol=1e-4
    )


def test_bridge_report_counts_and_averages(predictors, tmp_path):
    """Ranks, means per class, and shares, from the csv files alone."""
    predictor = predictors['seg']
    source = open_source(f'{ROOT}/data/nuclei_mini/images/val/0*.png')
    files = list(report_bridge(predictor, OutFolder(tmp_path), source, 2))
    names = {path.name for path in files}
    assert {'selection.png', 'gates.png', 'channels.png'} <= names
    shares = {}
    for row in rows_of(tmp_path / 'selection.csv'):
        shares.setdefault(row['block'], []).append(float(row['share']))
    assert len(shares) == 8
    for parts in shares.values():
        assert sum(parts) == pytest.approx(1)
    with record_gates(predictor.model) as gates:
        predictor.predict([str(path) for path in source.paths])
    rows = [
        r for r in rows_of(tmp_path / 'gates.csv') if r['block'] == 'layer4.1'
    ]
    means = gates['layer4.1'].mean(0)
    assert [int(r['channel']) for r in rows] == list(range(512))
    np.testing.assert_allclose(
        [float(r['mean']) for r in rows], means, rtol=1e-4
    )
    top = min(rows, key=lambda r: int(r['rank']))
    assert float(top['mean']) == max(float(r['mean']) for r in rows)


def test_profiles_are_means_per_class(tmp_path):
    from banet.explain.bridge import Gates
    from banet.explain.bridge_plots import plot_profiles

    values = np.random.default_rng(0).random((4, 16))
    labels = [['cat'], ['dog', 'cat'], ['dog'], []]
    plot_profiles(Gates({'layer1.0': values}), labels, OutFolder(tmp_path))
    rows = rows_of(tmp_path / 'profiles.csv')
    for name, own in (('cat', [0, 1]), ('dog', [1, 2])):
        found = [float(r['mean']) for r in rows if r['class'] == name]
        assert found == pytest.approx(values[own].mean(0))
    assert {r['images'] for r in rows} == {'2'}


def grad_cam(view, layer, score):
    """Grad-CAM as its paper writes it (Selvaraju et al., eq. 1 and 2)."""
    kept = []
    hook = find_layer(view.model, layer).register_forward_hook(
        lambda module, args, output: kept.append(output)
    )
    value = score(view(view.x)[0])
    hook.remove()
    (gradient,) = torch.autograd.grad(value, kept)
    weights = gradient.mean((2, 3), keepdim=True)
    heat = F.relu((weights * kept[0]).sum(1))[0].detach().numpy()
    return scaled(heat, view)


def scaled(heat, view):
    """Stretched to 0 to 1 and to the image.

    With the library's 1e-7, which shows: untrained, gradients are small.
    """
    h, w = view.x.shape[2:]
    for resize in (lambda x: cv2.resize(x, (w, h)), lambda x: x):
        heat = heat - heat.min()
        heat = resize(heat / (1e-7 + heat.max()))
    return heat[: view.shown.shape[0], : view.shown.shape[1]]


def own_pixels(label):
    return lambda out: (out[label] * (out.argmax(0) == label)).sum()


def test_map_of_a_class_is_grad_cams(view):
    seen = view('cls')
    (target,) = cam.find_targets(seen, [7])
    heat = cam.activation_map(seen, target, 'backbone.layer3')
    expected = grad_cam(seen, 'backbone.layer3', lambda out: out[7])
    np.testing.assert_allclose(heat, expected, atol=1e-4)


def test_map_of_a_segment_is_grad_cams(view):
    seen = view('seg')
    target = cam.find_targets(seen)[0]
    heat = cam.activation_map(seen, target, 'backbone.layer2')
    expected = grad_cam(seen, 'backbone.layer2', own_pixels(target.label))
    np.testing.assert_allclose(heat, expected, atol=1e-4)


def test_map_of_a_box_is_grad_cams_of_its_score(view):
    seen = view('det')
    first, second = cam.find_targets(seen, most=2, score=0)
    maps = [
        cam.activation_map(seen, target, 'backbone.layer2')
        for target in (first, second)
    ]
    expected = grad_cam(
        seen, 'backbone.layer2', lambda out: out.scores[0].logit()
    )
    np.testing.assert_allclose(maps[0], expected, atol=1e-3)
    assert np.abs(maps[0] - maps[1]).max() > 0.1


def test_eigencam_is_the_first_principal_component(view):
    seen = view('det')
    heat = cam.activation_map(
        seen, cam.Target(), 'neck.fpn_convs.3', 'eigencam'
    )
    maps = feature_maps(seen, ['neck.fpn_convs.3'])['neck.fpn_convs.3']
    flat = maps.flatten(1).T.numpy()  # (H * W, C)
    flat = flat - flat.mean(0)
    axis = np.linalg.eigh(flat.T.astype(float) @ flat)[1][:, -1]
    along = (flat @ axis).reshape(maps.shape[1:]).astype(np.float32)
    # The sign of an eigenvector is free.
    candidates = [scaled(np.maximum(s * along, 0), seen) for s in (1, -1)]
    assert min(np.abs(heat - c).max() for c in candidates) < 1e-3


@pytest.mark.parametrize('method', cam.METHODS)
def test_every_method_gives_a_map_of_the_image(view, method):
    seen = view('cls')
    target = cam.find_targets(seen)[0]
    heat = cam.activation_map(seen, target, 'backbone.layer2', method)
    assert heat.shape == seen.shown.shape[:2]
    assert 0 <= heat.min() <= heat.max() <= 1
    assert heat.max() > 0.5


@pytest.mark.parametrize(
    'backbone,layer,width',
    [
        (dict(type='BAResNet', depth=18), 'backbone.layer4', 512),
        (dict(type='BAConvNeXt', arch='atto'), 'backbone.stages.3', 320),
        (dict(type='BASwinTransformer', arch='tiny'), 'backbone.norm3', 768),
        (dict(type='BAMobileNetV3', arch='small'), 'backbone.layer12', 576),
        (dict(type='BAEfficientNet', arch='b0'), 'backbone.layers.6', 1280),
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
    seen = cam.View(look, cv2.imread(IMAGE))
    # Of some classes only negative evidence may be found.
    heats = [
        cam.activation_map(seen, target, layer)
        for target in cam.find_targets(seen, range(6))
    ]
    assert all(heat.shape == seen.shown.shape[:2] for heat in heats)
    assert max(heat.max() for heat in heats) > 0.5
    assert max(heat.std() for heat in heats) > 0.01


def test_one_stage_detectors_are_explained_through_their_heads(view, tmp_path):
    """mmdet cuts the gradient there when it predicts."""
    config = load_config(
        str(ROOT / 'configs/detection/retinanet_ba-r50_fpn_1x_coco.py')
    )
    config.model.backbone.update(depth=18, init_cfg=None)
    config.model.neck.in_channels = [64, 128, 256, 512]
    torch.manual_seed(0)
    model = build_model(config)
    torch.save(model.state_dict(), tmp_path / 'x.pth')
    seen = cam.View(load(config, tmp_path / 'x.pth', 'cpu'), cv2.imread(IMAGE))
    target = cam.find_targets(seen, most=1, score=0)[0]
    heat = cam.activation_map(seen, target, 'backbone.layer2', 'layercam')
    expected = layer_cam(seen, 'backbone.layer2')
    np.testing.assert_allclose(heat, expected, atol=1e-3)


def layer_cam(view, layer):
    """LayerCAM of the best box, by its definition (Jiang et al., eq. 4)."""
    kept = []
    hook = find_layer(view.model, layer).register_forward_hook(
        lambda module, args, output: kept.append(output)
    )
    value = view(view.x)[0].scores[0].logit()
    hook.remove()
    (gradient,) = torch.autograd.grad(value, kept)
    heat = (F.relu(gradient) * kept[0]).sum(1)[0]
    return scaled(F.relu(heat).detach().numpy(), view)


def test_swins_tokens_are_maps_again():
    maps = torch.randn(2, 5, 8, 12)
    tokens = maps.flatten(2).transpose(1, 2)
    assert torch.equal(to_map(tokens, (61, 93)), maps)


def test_the_same_box_is_found_in_another_network(view):
    seen = view('det')
    targets = cam.find_targets(seen, most=3, score=0)
    for target, found in zip(targets, cam.follow(seen, targets)):
        assert np.array_equal(found.box, target.box)
    away = cam.Target(targets[0].label, 1.0, np.array([0, 0, 0.001, 0.001]))
    assert cam.follow(seen, [away]) == [None]


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
    target = cam.find_targets(seen, score=0)[0]
    with pytest.raises(LayerError, match=message):
        cam.activation_map(seen, target, layer)


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


def test_stages_are_the_backbones(predictors):
    for predictor in predictors.values():
        assert stages(predictor.model) == [
            f'backbone.layer{i}' for i in (1, 2, 3, 4)
        ]


def test_figures_are_written_for_all_tasks(predictors, tmp_path):
    source = open_source(IMAGE)
    for task, predictor in predictors.items():
        out = OutFolder(tmp_path / task)
        (maps,) = report_cam(
            [predictor, predictor], source, out, 'backbone.layer1', score=0
        )
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
        with pytest.raises(banet.errors.BanetError, match=message):
            list(report_cam(models, source, out, **options))
    models.append(predictors['cls'])
    with pytest.raises(cam.CamError, match='seg, 2 classes; cls, 10'):
        list(report_cam(models, source, out))
    assert not out.path.exists()


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
