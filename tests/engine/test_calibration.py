"""The attention's norms have the statistics of the data before a training."""

import pytest
import torch
from mmengine.model import BaseModel, ImgDataPreprocessor
from mmengine.runner import Runner
from resnets import plain, small
from torch import nn

from banet import CalibrationHook
from banet.bridge.block import bridges


class Model(BaseModel):
    """A backbone whose loss is a number."""

    def __init__(self, backbone):
        super().__init__(ImgDataPreprocessor())
        self.backbone = backbone

    def forward(self, inputs, data_samples, mode):
        return dict(loss=self.backbone(inputs)[0].mean())


def images(count):
    generator = torch.Generator().manual_seed(0)
    return [
        dict(inputs=torch.randn(3, 64, 64, generator=generator))
        for _ in range(count)
    ]


def train(folder, backbone, count=8, batch=4, **kwargs):
    """A training at a learning rate of zero."""
    runner = Runner(
        Model(backbone),
        str(folder),
        train_dataloader=dict(
            batch_size=batch,
            dataset=images(count),
            sampler=dict(type='DefaultSampler', shuffle=False),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.0)),
        custom_hooks=[dict(type='CalibrationHook', images=count)],
        experiment_name=folder.name,
        **kwargs,
    )
    runner.train()
    return runner


def warm_started(**kwargs):
    """With plain weights, so that no gate depends on a norm."""
    model = small(norm_eval=True, **kwargs)
    model.load_state_dict(plain().state_dict(), strict=False)
    return model


@pytest.mark.parametrize('batch', [4, 1])
@pytest.mark.parametrize(
    'kind', ['BridgeAttentionV1', 'BridgeAttentionV2'], ids=['v1', 'v2']
)
def test_norms_standardise_the_images_they_were_given(kind, batch, tmp_path):
    model = warm_started(attention=dict(type=kind, ratio=4))
    train(tmp_path, model, batch=batch)
    seen = []
    for _, _, attention in bridges(model):
        norms = [
            m for m in attention.modules() if isinstance(m, nn.BatchNorm1d)
        ]
        for norm in norms:
            norm.register_forward_hook(lambda m, i, out: seen.append(out))
    model.eval()
    with torch.no_grad():
        model(torch.stack([image['inputs'] for image in images(8)]))
    assert len(seen) == (16 if kind.endswith('1') else 8)
    for out in seen:
        torch.testing.assert_close(
            out.mean(0), torch.zeros_like(out[0]), rtol=0, atol=1e-3
        )
        # But for the norm's epsilon beside small variances.
        assert (out.var(0) < 1.001).all() and (out.var(0) > 0.5).any()


def test_nothing_else_of_the_network_changes(tmp_path):
    model = warm_started()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    train(tmp_path, model)
    changed = {
        name
        for name, value in model.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert changed == {n for n in before if 'attention.norm.running' in n}


def test_resumed_training_keeps_its_statistics(tmp_path):
    model = warm_started()
    runner = train(tmp_path / 'a', model)
    after = {k: v.clone() for k, v in model.state_dict().items()}
    hook = CalibrationHook()
    hook.before_train(runner)  # two iterations have been done
    for name, value in model.state_dict().items():
        assert torch.equal(value, after[name]), name


def test_network_without_such_norms_is_told(tmp_path, caplog):
    model = warm_started(
        attention=dict(
            type='BridgeAttentionV2', ratio=4, norm_cfg=dict(type='LN')
        )
    )
    train(tmp_path, model)
    (log,) = tmp_path.glob('*/*.log')
    assert 'no attention of the backbone has a batch norm' in log.read_text()


def test_one_image_has_no_variance():
    with pytest.raises(ValueError, match='images=1 have no variance'):
        CalibrationHook(images=1)
