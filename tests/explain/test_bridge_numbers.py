"""The bridge's numbers against their definitions."""

import csv

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from runs import ROOT, trained_rival
from torch import nn

from banet import BAResNet, load
from banet.data.sources import open_source
from banet.explain.bridge import BridgeError, record_gates, selection
from banet.explain.report import report_bridge
from banet.utils.outfolder import OutFolder

pytestmark = pytest.mark.slow


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


@pytest.mark.slow
def test_bridge_report_leaves_the_network_as_it_was(predictors, tmp_path):
    """It looks at whole images, where a segmentor slides a window."""
    predictor = predictors['seg']
    mode = predictor.model.test_cfg.mode
    predictor.model.test_cfg.mode = 'slide'
    source = open_source(f'{ROOT}/data/nuclei_mini/images/val/00*.png')
    try:
        list(report_bridge(predictor, OutFolder(tmp_path), source))
        assert predictor.model.test_cfg.mode == 'slide'
    finally:
        predictor.model.test_cfg.mode = mode


@pytest.mark.slow
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


@pytest.mark.parametrize(
    'kind', ['SqueezeExcitation', 'EfficientChannelAttention']
)
def test_rivals_gates_are_reported_without_a_selection(kind, tmp_path):
    predictor = load(*trained_rival(kind, tmp_path), 'cpu')
    source = open_source(f'{ROOT}/data/nuclei_mini/images/val/00*.png')
    out = OutFolder(tmp_path / 'out')
    names = {path.name for path in report_bridge(predictor, out, source)}
    assert 'gates.png' in names and 'selection.png' not in names
    with record_gates(predictor.model) as gates:
        predictor.predict([str(path) for path in source.paths])
    rows = rows_of(tmp_path / 'out/gates.csv')
    found = [float(r['mean']) for r in rows if r['block'] == 'layer1.0']
    np.testing.assert_allclose(found, gates['layer1.0'].mean(0), rtol=1e-4)


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
