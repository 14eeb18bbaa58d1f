"""tools/benchmark.py times what it says."""

import json
import runpy
import sys

import pytest
import torch
from inputs import needs_new_torch
from mmcv import imread
from runs import ROOT, tool, without_ops

from banet.benchmark import NETWORKS, plot

SMALL = ['--size', '64', '--batch', '2', '--threads', '2', '--repeats', '1']
NAMES = ['plain', 'bav2', 'bav2-deploy']


@pytest.fixture
def torch_as_it_was():
    threads, fastest = torch.get_num_threads(), torch.backends.cudnn.benchmark
    yield
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = fastest


@pytest.fixture
def benchmark(monkeypatch, capsys, torch_as_it_was):
    """tools/benchmark.py in this process; what it prints."""

    def call(*args):
        path = str(ROOT / 'tools/benchmark.py')
        monkeypatch.setattr(sys, 'argv', [path, *map(str, args)])
        with pytest.raises(SystemExit) as exit:
            runpy.run_path(path, run_name='__main__')
        printed = capsys.readouterr()
        assert not exit.value.code, printed.err
        return printed.out

    return call


@pytest.mark.slow
def test_networks_are_timed_and_written(tmp_path, benchmark):
    out = tmp_path / 'times.json'
    printed = benchmark(*SMALL, '--out', out, '--models', *NAMES)
    (measured,) = json.loads(out.read_text())['results']
    rows = {row['model']: row for row in measured['rows']}
    assert list(rows) == NAMES
    assert rows['plain']['ratio'] == 1
    assert all(row['ms'] > 0 and row['peak_mib'] >= 0 for row in rows.values())
    # Without the classifier of 1000 classes; the fused norms: 26,560 scales.
    head = 2048 * 1000 + 1000
    assert rows['bav2']['params'] == 28_702_664 - head - 26_560
    assert rows['bav2-deploy']['params'] < rows['bav2']['params']
    for name in rows:
        assert f'| 64x64 | 2 | {name} | ' in printed


@pytest.mark.slow
def test_training_and_layouts_are_timed(tmp_path, benchmark):
    options = ['--mode', 'train', '--channels-last', '--norm-eval']
    models = ['--dtype', 'bf16', '--models', 'bav2', '--depth', '18']
    out = tmp_path / 'times.json'
    printed = benchmark(*SMALL, *options, *models, '--out', out)
    assert '2 threads' in printed and '| bav2 | ' in printed
    (row,) = json.loads(out.read_text())['results'][0]['rows']
    # What is kept is there at the peak, or nearly all of it.
    assert row['peak_mib'] > 0.9 * row['saved_mib'] > 0
    assert row['images_per_s'] == pytest.approx(2e3 / row['ms'])


@pytest.mark.slow
@needs_new_torch  # to export
@pytest.mark.parametrize('runtime', ['onnxruntime', 'openvino'])
def test_other_runtimes_are_timed(runtime):
    """In its own process: a training in one that ran OpenVINO may crash."""
    pytest.importorskip(runtime, reason='see requirements/optional.txt')
    options = ['--runtime', runtime, '--depth', '18']
    models = ['--models', 'bav2-deploy']
    result = tool('benchmark.py', *SMALL, *options, *models)
    assert result.returncode == 0, result.stderr[-2000:]
    assert f', infer, {runtime};' in result.stdout
    assert '| 64x64 | 2 | bav2-deploy | ' in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    'name,mode',
    [
        ('mask-rcnn_ba-r18_fpn_nuclei', 'train'),
        ('upernet_ba-r18_nuclei', 'infer'),
        ('ba-resnet18_digits', 'infer'),
    ],
)
def test_step_of_a_whole_model_is_timed(name, mode, benchmark):
    options = ['--config', ROOT / f'configs/demo/{name}.py', '--mode', mode]
    printed = benchmark(*SMALL, *options, '--models', 'bav2')
    assert '| 64x64 | 2 | bav2 | ' in printed


def test_plot_shows_time_and_ratio_over_batch_and_size(tmp_path):
    names = [*NETWORKS, 'mine']  # which has no colour of its own
    rows = [dict(model=n, ms=9.0, ratio=1.0) for n in names]
    results = [
        dict(batch=batch, size=size, rows=rows)
        for batch, size in ((1, [64, 64]), (2, [64, 64]), (2, [64, 128]))
    ]
    plot(
        dict(machine='abacus', options=dict(models=names), results=results),
        tmp_path / 'cost.png',
    )
    height, width, _ = imread(tmp_path / 'cost.png').shape
    assert (height, width) == (704, 1100)  # two panels beside each other


@pytest.mark.slow
def test_it_runs_without_compiled_ops_of_mmcv():
    options = ['--models', 'bav2', '--depth', '18']
    result = without_ops('benchmark.py', *SMALL, *options)
    assert result.returncode == 0, result.stderr[-2000:]
