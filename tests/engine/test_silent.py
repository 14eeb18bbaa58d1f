"""Runs that would silently do another thing stop in one line, or do it."""

import runpy
import shutil
import sys
from argparse import Namespace

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope, MODELS
from runs import DET, short_run, stopped, TASKS, tool

from banet import BAEfficientNet, BAMobileNetV3, BAResNet
from banet.engine.launch import find_script
from banet.engine.paths import LaunchError
from banet.engine.silent import check_silent
from banet.engine.start import find_start, keep_start, resumes_latest
from banet.engine.workdir import settle_last_checkpoint


@pytest.mark.parametrize(
    'options',
    [['--amp'], ['--cfg-options', 'optim_wrapper.type=AmpOptimWrapper']],
)
def test_half_precision_without_a_gpu_is_one_line(
    options, tmp_path, monkeypatch
):
    line = stopped(
        monkeypatch, 'train.py', DET, '--work-dir', tmp_path, *options
    )
    assert 'needs a GPU, and none is visible: leave --amp out' in line


def test_half_precision_of_a_cpu_on_a_gpu_is_one_line(monkeypatch):
    monkeypatch.setattr('banet.engine.silent.get_device', lambda: 'cuda')
    config = Config(dict(optim_wrapper=dict(type='CPUAmpOptimWrapper')))
    with pytest.raises(LaunchError, match='set --cfg-options optim_wrapper.'):
        check_silent(config, Namespace(amp=False))
    check_silent(config, Namespace(amp=True))  # another wrapper
    check_silent(config, Namespace(checkpoint='x.pth'))  # of test.py


@pytest.mark.parametrize(
    'options,named',
    [
        (['--auto-scale-lr'], '--auto-scale-lr'),
        (['--cfg-options', 'auto_scale_lr.enable=True'], '--auto-scale-lr'),
        (
            [
                '--cfg-options',
                'optim_wrapper.paramwise_cfg.custom_keys.neck.lr_mult=0',
            ],
            'lr_mult=0',
        ),
        (
            ['--cfg-options', 'optim_wrapper.paramwise_cfg.decay_rate=0.9'],
            'decay_rate=0.9',
        ),
    ],
)
def test_one_cycle_that_would_undo_a_learning_rate_is_one_line(
    options, named, tmp_path, monkeypatch
):
    line = stopped(
        monkeypatch, 'train.py', DET, '--work-dir', tmp_path, *options
    )
    assert f'its own eta_max, so that {named} would change nothing' in line


def test_augmented_test_of_masks_is_one_line(
    checkpoints, tmp_path, monkeypatch
):
    options = ['--tta', '--work-dir', tmp_path]
    line = stopped(monkeypatch, 'test.py', DET, checkpoints['det'], *options)
    assert 'merges boxes and no masks: leave --tta out' in line


@pytest.mark.parametrize(
    'frozen,module', [(1, 'backbone.layer2'), (-1, 'backbone'), (4, 'neck')]
)
def test_checkpointing_of_what_gets_no_gradient_names_with_cp(
    frozen, module, tmp_path, monkeypatch
):
    options = [
        f'model.backbone.frozen_stages={frozen}',
        f"activation_checkpointing=['{module}']",
    ]
    line = stopped(
        monkeypatch,
        'train.py',
        DET,
        *('--work-dir', tmp_path, '--cfg-options', *options),
    )
    assert 'model.backbone.with_cp=True instead' in line


@pytest.mark.parametrize(
    'frozen,module', [(1, 'neck'), (-1, 'backbone.layer2'), (1, 'rpn_head')]
)
def test_checkpointing_behind_what_learns_is_allowed(frozen, module):
    config = Config.fromfile(DET)
    config.model.backbone.frozen_stages = frozen
    config.activation_checkpointing = [module]
    assert check_silent(config, Namespace()) is None


def test_head_of_another_size_is_not_measured(
    checkpoints, tmp_path, monkeypatch
):
    line = stopped(
        monkeypatch,
        'test.py',
        TASKS['cls'][0],
        checkpoints['cls'],
        *('--work-dir', tmp_path, '--cfg-options', 'model.head.num_classes=7'),
    )
    assert 'does not fit' in line and 'head.fc.weight' in line


@pytest.mark.slow
def test_resume_in_an_empty_work_dir_keeps_load_from(
    digits, checkpoints, tmp_path
):
    start = tmp_path / 'start.pth'
    shutil.copy(checkpoints['cls'], start)
    config, options = short_run('mmpretrain', digits, 1)
    result = tool(
        *('train.py', config, '--work-dir', tmp_path / 'run', '--resume'),
        *(*options, f'load_from={start}'),
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert f'the training starts from load_from={start}' in result.stderr
    assert f'Load checkpoint from {start}' in result.stdout + result.stderr


@pytest.mark.parametrize('scope', TASKS)
@pytest.mark.parametrize(
    'words',
    [['--resume'], ['--resume', 'auto'], ['--resume=auto'], ['--res', 'auto']],
)
def test_upstream_is_told_where_a_resumed_training_starts(
    scope, words, tmp_path, monkeypatch
):
    """In an empty work dir from load_from, else from the run that is there."""
    if scope == 'seg' and words != ['--resume']:
        pytest.skip("mmseg's --resume takes no value")
    config = Config.fromfile(TASKS[scope][0])
    config.load_from = 'start.pth'
    args = Namespace(
        resume=True if scope == 'seg' else 'auto', work_dir=str(tmp_path)
    )
    monkeypatch.setattr(sys, 'argv', ['train.py', 'x.py', *words, '--a', 'b'])
    keep_start(config, args)
    assert sys.argv == ['train.py', 'x.py', '--a', 'b']
    assert find_start(config, args) == 'start.pth'  # which is looked at
    # Of several processes one mends the note, and all agree before and after.
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'gone.pth'))
    assert find_start(config, args) == 'start.pth'
    torch.save({}, tmp_path / 'epoch_1.pth')
    assert find_start(config, args) is None
    assert resumes_latest(config, args)
    assert settle_last_checkpoint(str(tmp_path))
    assert find_start(config, args) is None
    sys.argv = ['train.py', 'x.py', *words]
    keep_start(config, args)
    dropped = ['--cfg-options', 'load_from=None']
    assert sys.argv == ['train.py', 'x.py', *words, *dropped]


def test_run_in_the_work_dir_comes_before_load_from_of_the_command_line(
    tmp_path, monkeypatch
):
    """As mmpretrain's own functions understand it."""
    torch.save({}, tmp_path / 'epoch_1.pth')
    words = ['--work-dir', str(tmp_path), '--resume', '--cfg-options']
    argv = ['train.py', str(TASKS['cls'][0]), *words, 'load_from=start.pth']
    monkeypatch.setattr(sys, 'argv', argv)
    config = Config.fromfile(argv[1])
    upstream = runpy.run_path(str(find_script(config, argv[1], 'train.py')))
    args = upstream['parse_args']()
    config.merge_from_dict(args.cfg_options)
    keep_start(config, args)
    config = upstream['merge_args'](
        Config.fromfile(argv[1]), upstream['parse_args']()
    )
    assert (config.resume, config.load_from) == (True, None)


DECAY = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=1.0, weight_decay=0.1),
    constructor='LearningRateDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.5),
)


@pytest.mark.slow
@pytest.mark.parametrize(
    'backbone',
    [
        dict(type='BAResNet', depth=18),
        dict(type='BAResNet', depth=34),
        dict(type='BAResNet', depth=50),
        dict(type='BARegNet', arch='regnetx_400mf'),
        dict(type='BAMobileNetV3', arch='small'),
        dict(type='BAEfficientNet', arch='b0'),
        dict(type='BAConvNeXt', arch='atto'),
        dict(type='BASwinTransformer', arch='tiny'),
    ],
    ids=lambda b: f'{b["type"]}-{b.get("depth", b.get("arch"))}',
)
def test_rates_decay_with_the_depth_and_attention_follows_its_block(backbone):
    init_default_scope('mmpretrain')
    model = MODELS.build(
        dict(
            type='ImageClassifier',
            backbone=backbone,
            neck=dict(type='GlobalAveragePooling'),
            head=dict(type='LinearClsHead', num_classes=3, in_channels=8),
        )
    )
    rates = {}
    groups = build_optim_wrapper(model, DECAY).optimizer.param_groups
    own = {id(p): name for name, p in model.named_parameters()}
    for group in groups:
        for parameter in group['params']:
            rates[own[id(parameter)]] = group['lr']
    assert rates['head.fc.weight'] == max(rates.values()) == 1.0
    first = next(iter(rates))
    assert rates[first] == min(rates.values()) < 0.3
    for name, block in model.backbone.blocks():
        inner = {
            rates[f'backbone.{name}.{part}']
            for part, _ in block.named_parameters()
        }
        assert len(inner) == 1, name


def test_depths_count_blocks():
    model = BAResNet(18)
    assert model.get_layer_depth('backbone.conv1.weight', 'backbone.') == (
        0,
        10,
    )
    name = 'backbone.layer2.0.attention.generation.weight'
    assert model.get_layer_depth(name, 'backbone.') == (3, 10)
    assert model.get_layer_depth('head.fc.bias', 'backbone.') == (9, 10)
    for model in (BAMobileNetV3('small'), BAEfficientNet('b0')):
        names = [n for n, _ in model.named_parameters()]
        depths = [model.get_layer_depth(name)[0] for name in names]
        assert depths == sorted(depths) and depths[0] == 0
