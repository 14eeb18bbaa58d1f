"""The same seed trains the same weights, to the last bit."""

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from runs import make_digits, short_run
from torch import nn

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def digits(tmp_path_factory):
    return make_digits(tmp_path_factory.mktemp('digits') / 'small', 2)


@pytest.mark.parametrize('workers', [0, 2])
def test_same_seed_gives_the_same_weights(workers, digits, tmp_path):
    """After 10 iterations of the classification demo."""
    path, (_, *options) = short_run('mmpretrain', digits, 2)
    weights = []
    for attempt in 'ab':
        cfg = Config.fromfile(path)
        cfg.merge_from_dict(
            dict(
                option.split('=', 1) for option in options if 'root' in option
            )
        )
        cfg.train_dataloader.update(
            batch_size=4,
            num_workers=workers,
            persistent_workers=workers > 0,
        )
        cfg.train_cfg.update(max_epochs=2, val_interval=2)
        cfg.work_dir = str(tmp_path / attempt)
        cfg.experiment_name = f'{workers}{attempt}'
        runner = Runner.from_cfg(cfg)
        model = runner.train()
        assert runner.iter == 10
        weights.append(model.state_dict())
    assert any(isinstance(m, nn.BatchNorm1d) for m in model.modules())
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name
