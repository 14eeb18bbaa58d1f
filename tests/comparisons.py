"""A plan of two networks, and its rows."""

from pathlib import Path

from mmengine.config import ConfigDict

from banet.compare.plan import Metric, Plan
from banet.compare.rows import columns
from banet.compare.training import Training

# Folders that the plans in configs/experiments read.
DATA = 'tiny_imagenet60', 'camvid11', 'nuclei_dsb2018', 'cifar100'
PLAN = Plan(
    'configs/mine.py',
    Path('recipe.py'),
    dict(plain={}, bav2={}),
    (0, 1),
    'plain',
    (Metric('top1', 'top-1, %'),),
    None,
    None,
)


class Untrained(Plan):
    """A plan whose runs are not trained."""

    def config(self, network, seed):
        return ConfigDict(train_cfg=dict(max_epochs=4))


def training(folder, network='plain', seed=0):
    """A run of the plan, on the CPU."""
    plan = Untrained(**{**vars(PLAN), 'networks': {network: {}}})
    names = 'recipe', 'data', 'versions', 'device'
    shared = dict.fromkeys(names, 'same')
    return Training(plan, network, seed, folder, 1, 'cpu', shared)


def row(network='plain', seed=0, top1=50.0, **other):
    filled = dict.fromkeys(columns(PLAN), 'same')
    filled.update(
        {'top1 last': str(top1), 'top1 best': str(top1 + 1)},
        plan='mine',
        network=network,
        seed=str(seed),
        status='finished',
        parameters='1000000',
        minutes='2.0',
        options='{}',
    )
    return {**filled, **other}
