"""Random numbers of a training are those of its seed, epoch by epoch."""

import random

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner


class Model(BaseModel):
    """Draws ``drawn`` numbers while it is built."""

    def __init__(self, drawn):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.rand(drawn))

    def forward(self, inputs, data_samples=None, mode='loss'):
        return dict(loss=self.weight.sum())


@pytest.fixture
def numbers(tmp_path):
    """What a training draws in each of its epochs, of one iteration."""

    def train(name, drawn=1, seed=3, epochs=3, resume=False, by_epoch=True):
        seen = {}

        class Look(Hook):
            priority = 'LOWEST'

            def before_train_iter(self, runner, batch_idx, data_batch=None):
                seen[runner.iter] = (
                    random.random(),
                    np.random.rand(),
                    torch.rand(()).item(),
                )

        length = {'max_epochs' if by_epoch else 'max_iters': epochs}
        saving = dict(type='CheckpointHook', interval=1, by_epoch=by_epoch)
        Runner(
            Model(drawn),
            str(tmp_path / name),
            train_dataloader=dict(
                batch_size=2,
                dataset=[dict(inputs=torch.zeros(1))] * 2,
                sampler=dict(type='DefaultSampler', shuffle=True),
            ),
            train_cfg=dict(by_epoch=by_epoch, **length),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.0)),
            default_hooks=dict(checkpoint=saving),
            custom_hooks=[dict(type='EpochSeedHook'), Look()],
            randomness=dict(seed=seed),
            resume=resume,
            experiment_name=f'{tmp_path.name}-{name}-{epochs}',
        ).train()
        return seen

    return train


def test_networks_of_any_size_draw_the_same(numbers):
    assert numbers('small', drawn=1) == numbers('large', drawn=99)


def test_seeds_and_epochs_draw_different_numbers(numbers):
    drawn = [*numbers('a', seed=3).values(), *numbers('b', seed=4).values()]
    assert len(set(drawn)) == 6


def test_a_resumed_training_draws_what_it_would_have_drawn(numbers):
    whole = numbers('whole', epochs=3)
    begun = numbers('cut', epochs=1)
    assert {**begun, **numbers('cut', epochs=3, resume=True)} == whole


def test_resumed_training_in_iterations_draws_nothing_again(numbers):
    begun = numbers('cut', epochs=1, by_epoch=False)
    rest = numbers('cut', epochs=3, by_epoch=False, resume=True)
    drawn = [*begun.values(), *rest.values()]
    assert [*begun, *rest] == [0, 1, 2]
    for values in zip(*drawn):  # of each generator
        assert len(set(values)) == 3
