"""What a training shows: the bridge's numbers, TensorBoard, curves."""

import json
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.visualization import Visualizer
from mmseg.engine.hooks import SegVisualizationHook
from runs import ROOT, short_run, tool

from banet import BAResNet, BridgeStatsHook, TensorBoardHook
from banet.engine.curves import choose, CurveError, plot_runs, read_run
from banet.utils.outfolder import OutFolder

HOOKS = [
    'default_hooks.tensorboard.type=TensorBoardHook',
    'default_hooks.tensorboard.pictures=10',
    'default_hooks.bridge.type=BridgeStatsHook',
    'default_hooks.bridge.interval=1',
    'default_hooks.logger.interval=1',
]


@pytest.fixture(scope='module')
def work_dir(digits, tmp_path_factory):
    """A training of two short epochs, by the real command."""
    path = tmp_path_factory.mktemp('hooks') / 'run'
    config, options = short_run('mmpretrain', digits, 2)
    result = tool('train.py', config, '--work-dir', path, *options, *HOOKS)
    assert result.returncode == 0, result.stderr[-2000:]
    return path


@pytest.mark.slow
def test_selection_weights_in_the_log_are_the_models(work_dir):
    weights = torch.load(work_dir / 'epoch_2.pth', weights_only=False)
    weights = weights['state_dict']
    run = read_run(work_dir)
    for stage in (1, 2, 3, 4):
        a = torch.stack(
            [
                weights[
                    f'backbone.layer{stage}.{i}.attention.selection.weight'
                ][0]
                for i in (0, 1)
            ]
        )
        for i, expected in enumerate(a.abs().mean(0).tolist(), 1):
            values = run[f'bridge/layer{stage}/a{i}']
            assert values[max(values)] == pytest.approx(expected, rel=1e-4)
        gates = run[f'bridge/layer{stage}/gate']
        assert len(gates) == len(run['loss'])
        assert all(0 < gate < 1 for gate in gates.values())


@pytest.mark.parametrize('attention', [None, dict(type='BridgeAttentionV2')])
def test_looking_leaves_the_model_as_it_was(attention):
    """And says so, if there is nothing to look at."""
    said = []
    runner = SimpleNamespace(
        model=BAResNet(18, attention=attention, base_channels=16),
        logger=SimpleNamespace(warning=said.append),
    )
    hook = BridgeStatsHook(interval=1)
    hook.before_train(runner)
    assert len(said) == (attention is None)
    runner.model.train()(torch.rand(2, 3, 32, 32))  # before an iteration
    hook.after_train(runner)
    assert not any(m._forward_hooks for m in runner.model.modules())
    with pytest.raises(ValueError, match='interval=0 must be at least 1'):
        BridgeStatsHook(interval=0)


def events_of(work_dir):
    from tensorboard.backend.event_processing.event_accumulator import (
        EventAccumulator,
    )

    events = EventAccumulator(str(next(work_dir.glob('*/vis_data'))))
    events.Reload()
    return events


@pytest.mark.slow
def test_tensorboard_has_what_the_log_has_and_pictures(work_dir):
    events = events_of(work_dir)
    tags = events.Tags()
    run = read_run(work_dir)
    assert {'loss', 'lr', 'accuracy/top1', 'bridge/layer1/a1'} <= set(run)
    for name, values in run.items():
        found = {e.step: e.value for e in events.Scalars(name)}
        assert found == pytest.approx(values, rel=1e-5)
    assert len(tags['images']) == 10  # one validation scan of each digit


@pytest.mark.slow
@pytest.mark.parametrize(
    'scope,metric', [('mmdet', 'coco/bbox_mAP'), ('mmseg', 'mIoU')]
)
def test_other_libraries_trainings_are_shown_too(
    scope, metric, digits, tmp_path
):
    config, options = short_run(scope, digits, 1)
    result = tool('train.py', config, '--work-dir', tmp_path, *options, *HOOKS)
    assert result.returncode == 0, result.stderr[-2000:]
    events = events_of(tmp_path)
    assert {'loss', 'lr', metric, 'bridge/layer4/gate'} <= set(
        events.Tags()['scalars']
    )
    assert len(events.Tags()['images']) >= 1


def test_only_the_libraries_picture_hooks_are_turned_on(tmp_path):
    """Whatever else a user's hook calls draw or enable."""

    class Own(Hook):
        draw = enable = False

    Visualizer.get_instance('pictures')  # as a runner makes one
    own, theirs = Own(), SegVisualizationHook(draw=False)
    runner = SimpleNamespace(
        log_dir=str(tmp_path),
        visualizer=SimpleNamespace(_vis_backends={}),
        hooks=[own, theirs],
    )
    TensorBoardHook().before_run(runner)
    assert theirs.draw is True
    assert (own.draw, own.enable) == (False, False)


def write_log(folder, *lines):
    file = folder / 'vis_data' / 'scalars.json'
    file.parent.mkdir(parents=True)
    file.write_text('\n'.join(map(json.dumps, lines)))
    return file


def test_resumed_runs_are_one_curve(tmp_path, capsys):
    write_log(
        tmp_path / '2026_a',
        dict(loss=3.0, lr=0.1, step=1, iter=1),
        dict(loss=2.0, lr=0.1, step=2, iter=2),
    )
    later = write_log(
        tmp_path / '2026_b',
        dict(loss=1.5, lr=0.1, step=2, iter=2),
        {'accuracy/top1': 50, 'step': 1},
    )
    later.write_text(later.read_text() + '\n{"loss": 1')
    run = read_run(tmp_path)
    assert run['loss'] == {1: 3.0, 2: 1.5}
    assert choose({'x': run}) == ['loss', 'lr', 'accuracy/top1']
    assert 'scalars.json:3 is broken off' in capsys.readouterr().out


@pytest.mark.slow
def test_curves_are_drawn_and_unknown_ones_named(work_dir, tmp_path):
    run = read_run(work_dir)
    path = plot_runs({'a': run, 'b': run}, OutFolder(tmp_path / 'out'))
    assert path.stat().st_size > 10_000
    with pytest.raises(CurveError, match="'mIoU'; there are accuracy/top1"):
        plot_runs({'a': run}, OutFolder(tmp_path / 'other'), ['mIoU'])
    with pytest.raises(CurveError, match='holds no log of a training'):
        read_run(ROOT / 'tools')


def test_validations_of_a_training_without_epochs_lie_apart(tmp_path):
    """By default upstream logs all of them at epoch 0."""
    lines = [
        dict(loss=1.0, iter=10, step=10),
        dict(top1=0.2, step=0),
        dict(loss=0.5, iter=20, step=20),
        dict(top1=0.3, step=0),
        dict(top1=0.4, step=0),
    ]
    file = tmp_path / '20260101_000000/vis_data/scalars.json'
    file.parent.mkdir(parents=True)
    file.write_text('\n'.join(map(json.dumps, lines)))
    assert read_run(tmp_path)['top1'] == {10: 0.2, 20: 0.3, 21: 0.4}
