"""The warm-start experiment compares what it says."""

import runpy
from argparse import ArgumentParser

import pytest
from mmengine.config import Config, DictAction
from mmengine.registry import MODELS
from runs import ROOT

EXPERIMENT = runpy.run_path(str(ROOT / 'tools/experiment_warm_start.py'))


@pytest.mark.parametrize('task', EXPERIMENT['TASKS'])
@pytest.mark.parametrize(
    'start,attention,warm_start',
    [
        ('plain', 'NoneType', True),
        ('warm', 'BridgeAttentionV2', True),
        ('random', 'BridgeAttentionV2', False),
    ],
)
def test_warm_start_experiment_compares_what_it_says(
    task, start, attention, warm_start
):
    cfg = Config.fromfile(ROOT / f'configs/experiments/warm_start/{task}.py')
    parser = ArgumentParser()
    parser.add_argument('--cfg-options', nargs='*', action=DictAction)
    options = EXPERIMENT['STARTS'][start][1]
    args = parser.parse_args(['--cfg-options', *options])
    cfg.merge_from_dict(args.cfg_options or {})
    backbone = MODELS.build(cfg.model.backbone)
    for stage in backbone.res_layers:
        for block in getattr(backbone, stage):
            assert type(block.attention).__name__ == attention
            assert block.warm_start == warm_start


def test_warm_start_experiments_table_has_mean_and_deviation():
    results = {
        (task, start, seed): {
            key: (1 + seed) / factor for key, (_, factor) in metrics.items()
        }
        for task, metrics in EXPERIMENT['TASKS'].items()
        for start in EXPERIMENT['STARTS']
        for seed in (0, 1, 2)
    }
    lines = EXPERIMENT['table'](results).splitlines()
    assert lines[2] == '| plain ResNet-18 |' + ' 2.0 ± 1.0 |' * 3
    assert len(lines) == 5
