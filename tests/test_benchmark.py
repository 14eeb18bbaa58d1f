"""tools/benchmark.py and tools/get_flops.py: what they measure, and refuse."""

import json
import re
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from mmcv import imread

from banet.benchmark import NETWORKS
from banet.benchmark.networks import build
from banet.benchmark.work import draw, step

ROOT = Path(__file__).parent.parent
DET = ROOT / 'configs/demo/mask-rcnn_ba-r18_fpn_nuclei.py'
SMALL = ['--size', '64', '--batch', '2', '--threads', '2', '--repeats', '2']
NAMES = ['plain', 'se', 'bav2', 'bav2-deploy']


def tool(name, *args, code=()):
    return subprocess.run(
        [sys.executable, *code, *map(str, [ROOT / 'tools' / name, *args])],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )


def test_networks_are_timed_and_written(tmp_path):
    out = tmp_path / 'times.json'
    result = tool('benchmark.py', *SMALL, '--out', out, '--models', *NAMES)
    assert result.returncode == 0, result.stderr[-2000:]
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
        assert f'| 64x64 | 2 | {name} | ' in result.stdout


def test_training_and_layouts_are_timed():
    options = ['--mode', 'train', '--channels-last', '--norm-eval']
    models = ['--dtype', 'bf16', '--models', 'plain', 'bav2', '--depth', '18']
    result = tool('benchmark.py', *SMALL, *options, *models)
    assert result.returncode == 0, result.stderr[-2000:]
    assert '2 threads' in result.stdout and '| bav2 | ' in result.stdout


@pytest.mark.parametrize('mode', ['infer', 'train'])
@pytest.mark.parametrize('name', ['mask-rcnn', 'upernet', 'resnet'])
def test_a_whole_models_step_is_timed(name, mode):
    """Of each task; SE stands where the bridge attention stood."""
    (config,) = (ROOT / 'configs/demo').glob(f'*{name}*.py')
    models = ['plain', 'bav2'] + (['se'] if name == 'upernet' else [])
    options = ['--config', config, '--mode', mode, '--models', *models]
    if name == 'upernet':  # SEResNet has no BasicBlock
        config = 'fcn_ba-r50-d8_4xb4-80k_ade20k-512x512.py'
        options[1] = ROOT / 'configs/segmentation' / config
    result = tool('benchmark.py', *SMALL, *options)
    assert result.returncode == 0, result.stderr[-2000:]
    for model in models:
        assert f'| 64x64 | 2 | {model} | ' in result.stdout


def test_step_of_a_whole_model_is_its_own_loss():
    """A detector's random objects reach its heads: boxes, labels, masks."""
    args = Namespace(
        config=str(DET),
        mode='train',
        dtype='fp32',
        device='cpu',
        channels_last=False,
        compile=False,
    )
    model = build('bav2', args)
    before = {n: p.clone() for n, p in model.named_parameters()}
    step(model, args)(draw(args, 2, (64, 64)))
    still = [n for n, p in model.named_parameters() if p.grad is None]
    assert not still
    head = 'roi_head.mask_head.conv_logits.weight'
    assert dict(model.named_parameters())[head].grad.abs().max() > 0
    assert all(p.shape == before[n].shape for n, p in model.named_parameters())


def test_straight_form_is_the_same_network():
    """What BAv2 is compared with computes the same, training included."""
    models = [NETWORKS[n](depth=18) for n in ('bav2', 'bav2-straight')]
    models[1].load_state_dict(
        dict(zip(models[1].state_dict(), models[0].state_dict().values()))
    )
    x = torch.rand(4, 3, 64, 64).double()
    ours, theirs = (model.double().train()(x)[-1] for model in models)
    torch.testing.assert_close(ours, theirs)


def test_plot_shows_a_line_per_network(tmp_path):
    """Of time and ratio, over batch and over size."""
    picture = tmp_path / 'cost.png'
    options = ['--batch', '1', '2', '--size', '32', '64', '--repeats', '1']
    models = ['--models', 'plain', 'bav2', '--depth', '18']
    result = tool('benchmark.py', *options, *models, '--plot', picture)
    assert result.returncode == 0, result.stderr[-2000:]
    height, width, _ = imread(picture).shape
    assert min(height, width) > 600
    single = ['--batch', '1', '--size', '32', '--repeats', '1', *models]
    result = tool('benchmark.py', *single, '--plot', picture)
    assert result.returncode == 1
    assert '--plot needs several --batch or --size' in result.stderr


def test_it_runs_without_compiled_ops_of_mmcv():
    """As with mmcv-lite, which has no module mmcv._ext."""
    code = (
        'import sys, runpy\n'
        "sys.modules['mmcv._ext'] = None\n"
        'sys.argv = sys.argv[1:]\n'
        'import banet\n'
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "assert not any(n.startswith('mmcv.ops') for n in sys.modules)\n"
    )
    options = ['--models', 'plain', 'bav2', '--depth', '18']
    result = tool('benchmark.py', *SMALL, *options, code=['-c', code])
    assert result.returncode == 0, result.stderr[-2000:]


@pytest.mark.parametrize(
    'options,message',
    [
        ('--device cuda:9', '--device cuda:9 is not there: '),
        ('--device abacus', '--device abacus is not there: '),
        ('--batch 0', '--batch 0 and --repeats 20 must be 1 or more'),
        ('--size 31', '--size 31 is smaller than the stride of the network'),
        ('--size 64by64', '--size 64by64: write 224 or 800x1344'),
        ('--depth 19', "plain: 'invalid depth 19 for ResNet'. Leave it out"),
        ('--cuda-graph', '--cuda-graph needs --device cuda'),
        ('--config missing.py', 'missing.py does not exist'),
        ('--mode train --models bav2-deploy', 'bav2-deploy is for inference'),
        (f'--config {DET} --compile', '--compile and --cuda-graph are for'),
        ('--out nowhere/times.json', 'the folder nowhere is missing'),
        ('--config {empty}', 'config.py has no model.backbone: name a config'),
        (
            f'--config {DET} --models bav2-straight',
            'no model bav2-straight: ch',
        ),
    ],
)
def test_bad_options_of_the_benchmark_end_in_one_line(
    options, message, tmp_path
):
    empty = tmp_path / 'config.py'
    empty.write_text('model = dict()')
    result = tool('benchmark.py', *options.format(empty=empty).split())
    assert result.returncode == 1
    assert message in result.stderr.splitlines()[-1]
    assert 'Traceback' not in result.stderr


@pytest.mark.parametrize(
    'config,expected',
    [
        (
            'classification/ba-resnet50_8xb32_in1k',
            {
                'backbone.layer1': (246_636, 667_973_776),
                'total': (28_702_664, 4_092_330_768),
            },
        ),
        (
            'classification/bav1-resnet101_8xb32_in1k',
            {'total': (50_490_312, 7_807_334_400)},
        ),
        (
            'demo/upernet_ba-r18_nuclei',
            {'backbone.conv1': (9_408, 154_140_672)},
        ),
    ],
)
def test_flops_are_the_papers(config, expected):
    result = tool('get_flops.py', ROOT / f'configs/{config}.py')
    assert result.returncode == 0, result.stderr[-2000:]
    for part, (params, macs) in expected.items():
        assert re.search(
            rf'^{part} +{params:,} +{macs:,}$', result.stdout, re.M
        ), result.stdout


@pytest.mark.parametrize(
    'args,message',
    [
        (['missing.py'], 'missing.py does not exist'),
        (['{empty}'], 'names no size: add --shape'),
        (['{empty}', '--shape', '64', '64'], 'has no model.backbone'),
        ([DET, '--shape', '16', '64'], '--shape 16 64 is smaller than the st'),
    ],
)
def test_bad_options_of_get_flops_end_in_one_line(args, message, tmp_path):
    empty = tmp_path / 'config.py'
    empty.write_text('model = dict()')
    args = [str(arg).format(empty=empty) for arg in args]
    result = tool('get_flops.py', *args)
    assert result.returncode == 1
    assert message in result.stderr.splitlines()[-1]
    assert 'Traceback' not in result.stderr
