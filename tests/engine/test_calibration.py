"""The attention's norms have the statistics of the data before a training."""

import random

import numpy as np
import pytest
import torch
from mmengine.model import BaseModel, ImgDataPreprocessor
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.models import SegDataPreProcessor
from mmseg.structures import SegDataSample
from resnets import plain, small
from torch import nn
from torch.utils.data import BatchSampler, Dataset

from banet import CalibrationHook
from banet.bridge.block import bridges


class Model(BaseModel):
    """A backbone whose loss is a number, and what it was given."""

    def __init__(self, backbone, data_preprocessor=None):
        super().__init__(data_preprocessor or ImgDataPreprocessor())
        self.backbone = backbone
        self.given = []

    def forward(self, inputs, data_samples, mode):
        self.given.append(inputs)
        return dict(loss=self.backbone(inputs)[0].mean())


class Noisy(Dataset):
    """Images with a bit of noise, from all generators."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        noise = torch.rand(3, 64, 64) + random.random() + np.random.rand()
        return dict(inputs=noise + 10 * index)


def images(count):
    generator = torch.Generator().manual_seed(0)
    return [
        dict(inputs=torch.randn(3, 64, 64, generator=generator))
        for _ in range(count)
    ]


CALIBRATION = [dict(type='CalibrationHook', images=8)]


def train(folder, model, dataset, batch=4, hooks=CALIBRATION, **kwargs):
    """A training of two iterations at a learning rate of zero."""
    runner = Runner(
        model,
        str(folder),
        train_dataloader=dict(
            batch_size=batch,
            dataset=dataset,
            **{'sampler': dict(type='InfiniteSampler'), **kwargs},
        ),
        train_cfg=dict(by_epoch=False, max_iters=2),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.0)),
        custom_hooks=hooks,
        randomness=dict(seed=0),
        # Of the whole path: mmengine keeps one visualizer per name.
        experiment_name='-'.join(folder.parts[-2:]),
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
    train(tmp_path, Model(model), images(8), batch)
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
    train(tmp_path, Model(model), images(8))
    changed = {
        name
        for name, value in model.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert changed == {n for n in before if 'attention.norm.running' in n}


@pytest.mark.parametrize('workers', [0, 1])
@pytest.mark.parametrize('sampler', ['InfiniteSampler', 'DefaultSampler'])
def test_training_sees_what_it_would_have_seen_without(
    sampler, workers, tmp_path
):
    """The same images in the same order, the same random numbers."""
    given = []
    for name, hooks in (('with', CALIBRATION), ('without', [])):
        model = Model(warm_started())
        train(
            tmp_path / name,
            model,
            Noisy(),
            hooks=hooks,
            sampler=dict(type=sampler),
            num_workers=workers,
            persistent_workers=bool(workers),
        )
        given.append(torch.cat(model.given))
    assert torch.equal(*given)


def test_crops_of_several_sizes_are_padded_as_in_the_training(tmp_path):
    """As mmseg's are, where an image is smaller than the crop."""
    pad = SegDataPreProcessor(size=(64, 64))
    crops = []
    for height in (48, 64):
        labels = PixelData(data=torch.zeros(1, height, 64).long())
        crops.append(
            dict(
                inputs=torch.rand(3, height, 64),
                data_samples=SegDataSample(gt_sem_seg=labels),
            )
        )
    backbone = warm_started()
    train(tmp_path, Model(backbone, pad), crops * 4)
    assert backbone.layer1[0].attention.norm.running_mean.any()


def test_resumed_training_keeps_its_statistics(tmp_path):
    model = warm_started()
    runner = train(tmp_path / 'a', Model(model), images(8))
    norm = model.layer1[0].attention.norm
    norm.running_mean.fill_(7)  # which no images have
    CalibrationHook().before_train(runner)  # iterations have been done
    assert norm.running_mean.eq(7).all()


def test_network_without_such_norms_is_told(tmp_path):
    model = warm_started(
        attention=dict(
            type='BridgeAttentionV2', ratio=4, norm_cfg=dict(type='LN')
        )
    )
    train(tmp_path, Model(model), images(8))
    (log,) = tmp_path.glob('*/*.log')
    assert 'no attention of the backbone has a batch norm' in log.read_text()


@pytest.mark.parametrize(
    ('batch', 'norm_eval', 'told'),
    [(4, False, True), (4, True, False), (1, False, False)],
)
@pytest.mark.parametrize(
    'sampled',
    [{}, dict(batch_sampler=dict(type=BatchSampler, drop_last=False))],
    ids=['plain', 'batch_sampler'],
)
def test_network_whose_norms_train_is_told(
    batch, norm_eval, told, sampled, tmp_path
):
    """One image by itself is normalised with the running statistics."""
    model = warm_started()
    model.norm_eval = norm_eval
    train(tmp_path, Model(model), images(8), batch, **sampled)
    (log,) = tmp_path.glob('*/*.log')
    assert ('CalibrationHook changes nothing' in log.read_text()) == told
    assert model.layer1[0].attention.norm.running_mean.any()


def test_one_image_has_no_variance(tmp_path):
    with pytest.raises(ValueError, match='images=1 have no variance'):
        CalibrationHook(images=1)
    with pytest.raises(ValueError, match='the only image of the training set'):
        train(tmp_path, Model(warm_started()), images(1))
