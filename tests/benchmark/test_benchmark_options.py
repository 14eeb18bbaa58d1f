"""Bad options of benchmark.py and get_flops.py end in one line."""

import shlex

import pytest
import torch
from inputs import supports
from runs import DET, error_of, tool

QUOTED = shlex.quote(str(DET))  # a folder may have a space


@pytest.mark.parametrize(
    'options,message',
    [
        ('--device cuda:9', '--device cuda:9 is not there: '),
        ('--device abacus', '--device abacus is not there: '),
        ('--batch 0', '--batch 0 and --repeats 20 must be 1 or more'),
        ('--size 31', '--size 31 is smaller than the stride of the network'),
        ('--size 64by64', '--size 64by64: write 224 or 800x1344'),
        ('--depth 19', "plain: 'invalid depth 19 for resnet'. Leave it out"),
        ('--depth 0', "plain: 'invalid depth 0 for resnet'. Leave it out"),
        ('--threads 0', '--threads 0 must be 1 or more'),
        (f'--config {QUOTED} --depth 18', '--depth and --norm-eval are for b'),
        (f'--config {QUOTED} --models se', 'se in '),
        ('--config {plain}', 'has the backbone ResNet: name a config with'),
        ('--out .', '. is a folder'),
        ('--cuda-graph', '--cuda-graph needs --device cuda'),
        ('--config missing.py', 'missing.py does not exist'),
        ('--mode train --models bav2-deploy', 'bav2-deploy is for inference'),
        (f'--config {QUOTED} --runtime compile', '--runtime and --cuda-gr'),
        (
            '--runtime openvino --mode train',
            '--runtime openvino is for --mode infer',
        ),
        ('--plot a.pdf --batch 1 2', '--plot a.pdf must end in .png'),
        ('--plot cost.png', '--plot needs several --batch or --size'),
        ('--out nowhere/times.json', 'the folder nowhere does not exist'),
        ('--out {empty}', 'config.py exists; --force'),
        ('--plot {empty} --batch 1 2', 'config.py exists; --force'),
        ('--suite cpu --out {empty}', 'config.py exists; --force'),
        ('--config {empty}', 'config.py has no model.backbone: name a config'),
        (
            f'--config {QUOTED} --models bav2-straight',
            'no model bav2-straight in the place of BAResNet: choo',
        ),
        pytest.param(
            '--dtype fp16',
            '--dtype fp16 needs torch 2.3 or later, not ',
            marks=pytest.mark.skipif(
                supports(torch.float16), reason='this torch is later'
            ),
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
    options = shlex.split(options.format(empty=empty, plain=plain))
    assert message in error_of('benchmark.py', options, monkeypatch)


@pytest.mark.slow
def test_bad_options_end_a_real_process_with_one_line():
    for name, options in (
        ('benchmark.py', ['--batch', '0']),
        ('get_flops.py', ['missing.py']),
    ):
        result = tool(name, *options)
        assert (result.returncode, result.stdout) == (1, '')
        assert result.stderr.count('\n') == 1


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
