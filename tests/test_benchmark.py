"""tools/benchmark.py and tools/get_flops.py: what they measure, and refuse."""

import json
import re
import runpy
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from mmcv import imread
from mmpretrain.models.backbones import SEResNet

from banet.benchmark import NETWORKS, plot
from banet.benchmark.networks import build
from banet.benchmark.work import draw, step

ROOT = Path(__file__).parent.parent
DET = ROOT / 'configs/demo/mask-rcnn_ba-r18_fpn_nuclei.py'
SMALL = ['--size', '64', '--batch', '2', '--threads', '2', '--repeats', '1']
NAMES = ['plain', 'se', 'bav2', 'bav2-deploy']


def error_of(name, args, monkeypatch):
    """What the tool ends with, in this process."""
    monkeypatch.setattr(sys, 'argv', [name, *map(str, args)])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / 'tools' / name), run_name='__main__')
    assert isinstance(stop.value.code, str)  # not a status alone
    return stop.value.code


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


@pytest.mark.parametrize(
    'name,mode',
    [
        ('mask-rcnn_ba-r18_fpn_nuclei', 'train'),
        ('upernet_ba-r18_nuclei', 'infer'),
        ('ba-resnet18_digits', 'infer'),
    ],
)
def test_step_of_a_whole_model_is_timed(name, mode):
    options = ['--config', ROOT / f'configs/demo/{name}.py', '--mode', mode]
    result = tool('benchmark.py', *SMALL, *options, '--models', 'bav2')
    assert result.returncode == 0, result.stderr[-2000:]
    assert '| 64x64 | 2 | bav2 | ' in result.stdout


def whole(config, mode='train'):
    """Options as the tool's, for what stands in ``config``."""
    return Namespace(
        config=str(config),
        mode=mode,
        dtype='fp32',
        device='cpu',
        channels_last=False,
        compile=False,
    )


def test_squeeze_excite_takes_the_backbones_place_in_a_config():
    name = 'fcn_ba-r50-d8_4xb4-80k_ade20k-512x512.py'
    model = build('se', whole(ROOT / 'configs/segmentation' / name))
    assert type(model.backbone) is SEResNet
    assert model.backbone.dilations == (1, 1, 2, 4)


@pytest.mark.parametrize(
    'config,ratio,norm',
    [
        ('ba-mobilenet-v3-small_8xb128_in1k', 6, 'BatchNorm1d'),
        ('ba-efficientnet-b0_8xb32_in1k', 6, 'BatchNorm1d'),
        ('ba-regnetx-4.0gf_8xb64_in1k', 16, 'BatchNorm1d'),
        ('ba-convnext-tiny_32xb128_in1k', 16, 'LayerNorm'),
        ('ba-swin-tiny_16xb64_in1k', 16, 'LayerNorm'),
    ],
)
def test_other_families_are_compared_with_their_own_attention(
    config, ratio, norm
):
    args = whole(ROOT / f'configs/classification/{config}.py', 'infer')
    for name, kind in (
        ('plain', None),
        ('bav1', 'BridgeAttentionV1'),
        ('bav2', 'BridgeAttentionV2'),
    ):
        blocks = [b for _, b in build(name, args).backbone.blocks()]
        found = [b.attention for b in blocks if b.attention is not None]
        assert {type(a).__name__ for a in found} == ({kind} if kind else set())
        for attention in found:
            assert attention.hidden_channels == attention.channels // ratio
            last = (
                attention.norms[0]
                if kind == 'BridgeAttentionV1'
                else attention.norm
            )
            assert type(last).__name__ == norm


def test_step_of_a_whole_model_is_its_own_loss():
    """A detector's random objects reach its heads: boxes, labels, masks."""
    args = whole(DET)
    model = build('bav2', args)
    step(model, args)(draw(args, 2, (64, 64)))
    still = [n for n, p in model.named_parameters() if p.grad is None]
    assert not still
    head = 'roi_head.mask_head.conv_logits.weight'
    assert dict(model.named_parameters())[head].grad.abs().max() > 0


def test_straight_form_is_the_same_network():
    """What BAv2 is compared with computes the same, training included."""
    models = [NETWORKS[n](depth=18) for n in ('bav2', 'bav2-straight')]
    models[1].load_state_dict(
        dict(zip(models[1].state_dict(), models[0].state_dict().values()))
    )
    x = torch.rand(4, 3, 64, 64).double()
    ours, theirs = (model.double().train()(x)[-1] for model in models)
    torch.testing.assert_close(ours, theirs)


def test_plot_shows_time_and_ratio_over_batch_and_size(tmp_path):
    rows = [dict(model=n, ms=9.0, ratio=1.0) for n in NETWORKS]
    results = [
        dict(batch=batch, size=[size, size], rows=rows)
        for batch, size in ((1, 64), (2, 64), (2, 128))
    ]
    plot(
        dict(machine='abacus', options=dict(models=NETWORKS), results=results),
        tmp_path / 'cost.png',
    )
    height, width, _ = imread(tmp_path / 'cost.png').shape
    assert (height, width) == (704, 1100)  # two panels beside each other


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
        ('--depth 19', "plain: 'invalid depth 19 for resnet'. Leave it out"),
        ('--threads 0', '--threads 0 must be 1 or more'),
        (f'--config {DET} --depth 18', '--depth and --norm-eval are for b'),
        (f'--config {DET} --models se', 'se in '),
        ('--config {plain}', 'has the backbone ResNet: name a config with'),
        ('--out .', '. is a folder'),
        ('--cuda-graph', '--cuda-graph needs --device cuda'),
        ('--config missing.py', 'missing.py does not exist'),
        ('--mode train --models bav2-deploy', 'bav2-deploy is for inference'),
        (f'--config {DET} --compile', '--compile and --cuda-graph are for'),
        ('--plot cost.png', '--plot needs several --batch or --size'),
        ('--out nowhere/times.json', 'the folder nowhere is missing'),
        ('--config {empty}', 'config.py has no model.backbone: name a config'),
        (
            f'--config {DET} --models bav2-straight',
            'no model bav2-straight in the place of BAResNet: choo',
        ),
    ],
)
def test_bad_options_of_the_benchmark_end_in_one_line(
    options, message, tmp_path, monkeypatch
):
    empty = tmp_path / 'config.py'
    empty.write_text('model = dict()')
    plain = tmp_path / 'plain.py'
    plain.write_text(
        "_base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'"
    )
    options = options.format(empty=empty, plain=plain).split()
    assert message in error_of('benchmark.py', options, monkeypatch)


def test_bad_options_end_a_real_process_with_one_line():
    for name, options in (
        ('benchmark.py', ['--batch', '0']),
        ('get_flops.py', ['missing.py']),
    ):
        result = tool(name, *options)
        assert (result.returncode, result.stdout) == (1, '')
        assert result.stderr.count('\n') == 1


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
def test_bad_options_of_get_flops_end_in_one_line(
    args, message, tmp_path, monkeypatch
):
    empty = tmp_path / 'config.py'
    empty.write_text('model = dict()')
    args = [str(arg).format(empty=empty) for arg in args]
    assert message in error_of('get_flops.py', args, monkeypatch)
