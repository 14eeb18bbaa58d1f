"""A training that was killed in its last validation is validated."""

import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.rand(1))

    def forward(self, inputs, data_samples=None, mode='loss'):
        return dict(loss=self.weight.sum()) if mode == 'loss' else [0]


@pytest.fixture
def validations(tmp_path):
    """How often a training of two epochs, or iterations, validates."""

    def train(by_epoch, resume=False, begin=1, validates=True):
        count = []

        class Count(Hook):
            def before_val(self, runner):
                count.append(runner.iter)

        loader = dict(
            batch_size=1,
            dataset=[dict(inputs=torch.zeros(1))],
            sampler=dict(type='DefaultSampler', shuffle=False),
        )
        length = {'max_epochs' if by_epoch else 'max_iters': 2}
        validation = dict(
            val_dataloader=loader, val_cfg=dict(), val_evaluator=Evaluator([])
        )
        saving = dict(type='CheckpointHook', interval=1, by_epoch=by_epoch)
        Runner(
            Model(),
            str(tmp_path),
            train_dataloader=loader,
            train_cfg=dict(
                by_epoch=by_epoch, val_interval=1, val_begin=begin, **length
            ),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.0)),
            default_hooks=dict(
                checkpoint=saving,
                last_validation=dict(type='LastValidationHook'),
            ),
            custom_hooks=[Count()],
            resume=resume,
            experiment_name=f'{tmp_path.name}-{by_epoch}-{resume}',
            **(validation if validates else {}),
        ).train()
        return count

    return train


@pytest.mark.parametrize('by_epoch', [True, False])
def test_training_resumed_at_its_end_is_validated(by_epoch, validations):
    assert validations(by_epoch) == [1, 2]  # not once more
    assert validations(by_epoch, resume=True) == [2]


@pytest.mark.parametrize('options', [dict(begin=3), dict(validates=False)])
@pytest.mark.parametrize('by_epoch', [True, False])
def test_training_without_validation_has_none_at_its_end(
    by_epoch, options, validations
):
    for resume in (False, True):
        assert validations(by_epoch, resume, **options) == []
