"""bfloat16 on the CPU learns as float32 does."""

import json

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from runs import DEMO

pytestmark = pytest.mark.slow
EPOCHS = 2


def train(folder, digits, kind):
    """Losses of the classification demo cut short, and its Runner."""
    cfg = Config.fromfile(DEMO / 'ba-resnet18_digits.py')
    cfg.train_dataloader.dataset.data_root = str(digits)
    cfg.train_dataloader.update(
        batch_size=4, num_workers=0, persistent_workers=False
    )
    cfg.train_cfg = dict(by_epoch=True, max_epochs=EPOCHS)
    for name in ('val', 'test'):
        for part in ('cfg', 'dataloader', 'evaluator'):
            cfg[f'{name}_{part}'] = None
    cfg.optim_wrapper.type = kind
    cfg.default_hooks.logger.interval = 1
    cfg.work_dir = str(folder / kind)
    cfg.experiment_name = kind
    cfg.randomness = dict(seed=0)
    runner = Runner.from_cfg(cfg)
    seen = []
    runner.model.backbone.conv1.register_forward_hook(
        lambda module, args, out: seen.append(out.dtype)
    )
    runner.train()
    (log,) = folder.glob(f'{kind}/*/vis_data/scalars.json')
    lines = map(json.loads, log.read_text().splitlines())
    return [line['loss'] for line in lines if 'loss' in line], runner, seen


def test_it_learns_as_in_float32(digits, tmp_path):
    """The same images and weights: losses apart by bfloat16's rounding."""
    exact, _, _ = train(tmp_path, digits, 'OptimWrapper')
    losses, runner, seen = train(tmp_path, digits, 'CPUAmpOptimWrapper')
    assert set(seen) == {torch.bfloat16}
    assert len(losses) == len(exact) > 3
    assert 0 < abs(losses[0] - exact[0]) < 0.01 * exact[0]
    for a, b in zip(losses, exact, strict=True):
        assert abs(a - b) < 0.1 * b
    assert {p.dtype for p in runner.model.parameters()} == {torch.float32}
    state = runner.optim_wrapper.optimizer.state.values()
    kinds = {v.dtype for s in state for v in s.values() if torch.is_tensor(v)}
    assert kinds == {torch.float32}
