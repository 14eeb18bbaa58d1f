"""Whole models in the deploy form, by our tool and by upstream's."""

from pathlib import Path

import mmcv
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope, MODELS
from mmengine.runner import load_checkpoint
from mmengine.utils import get_installed_path
from resnets import calibrated, images, relative, V2
from runs import DET, python, ROOT


@pytest.fixture(scope='module')
def digits_model(tmp_path_factory):
    """A config of a small classifier and a checkpoint of it."""
    folder = tmp_path_factory.mktemp('deploy')
    config = folder / 'config.py'
    demo = ROOT / 'configs/demo/ba-resnet18_digits.py'
    (folder / 'base.py').write_text(f'_base_ = {str(demo)!r}\n')
    config.write_text("_base_ = 'base.py'\n")
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(Config.fromfile(config).model)
    calibrated(model.backbone)
    torch.save(
        dict(meta=dict(epoch=3), state_dict=model.state_dict()),
        folder / 'trained.pth',
    )
    return config, folder / 'trained.pth', model.eval()


def logits(model, x):
    with torch.no_grad():
        return model.eval()(x, mode='tensor')


@pytest.mark.slow
def test_deploy_tool_writes_checkpoint_and_config(digits_model, tmp_path):
    config, checkpoint, model = digits_model
    out = tmp_path / 'deployed.pth'
    result = python(ROOT / 'tools/deploy.py', config, checkpoint, out)
    assert result.returncode == 0, result.stderr[-3000:]
    deployed = Config.fromfile(out.with_suffix('.py'))
    assert deployed.model.backbone.deploy is True
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        other = MODELS.build(deployed.model)
    load_checkpoint(other, str(out), map_location='cpu', strict=True)
    assert relative(logits(other, images()), logits(model, images())) < 1e-5
    meta = torch.load(out, weights_only=True)['meta']
    assert meta['epoch'] == 3
    assert 'deploy=True' in meta['cfg']


@pytest.mark.slow
def test_deploy_tool_takes_windows_and_other_channels(tmp_path):
    base = ROOT / 'configs/classification/ba-swin-tiny_16xb64_in1k.py'
    config = tmp_path / 'config.py'
    config.write_text(
        f'_base_ = {str(base)!r}\n'
        'model = dict(backbone=dict(_delete_=True, '
        "type='BASwinTransformer', arch=dict(embed_dims=24, depths=[1] * 4, "
        'num_heads=[1] * 4), in_channels=4, attention=dict(ratio=4, '
        "type='BridgeAttentionV2', norm_cfg=dict(type='LN')))"
        ', head=dict(in_channels=192))\n'
    )
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(Config.fromfile(config).model)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'x.pth')
    result = python(
        *(ROOT / 'tools/deploy.py', config),
        *(tmp_path / 'x.pth', tmp_path / 'y.pth'),
    )
    assert result.returncode == 0, result.stderr[-3000:]
    result = python(ROOT / 'tools/get_flops.py', config)
    assert result.returncode == 0, result.stderr[-3000:]


@pytest.mark.slow
def test_mmpretrains_own_tool_folds_our_models(digits_model, tmp_path):
    config, checkpoint, model = digits_model
    script = (
        Path(get_installed_path('mmpretrain'))
        / '.mim/tools/model_converters/reparameterize_model.py'
    )
    out = tmp_path / 'folded.pth'
    result = python(script, config, checkpoint, out)
    assert result.returncode == 0, result.stderr[-3000:]
    cfg = Config.fromfile(config)
    cfg.model.backbone.deploy = True
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        other = MODELS.build(cfg.model)
    load_checkpoint(other, str(out), map_location='cpu', strict=True)
    assert relative(logits(other, images()), logits(model, images())) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(
    'change,message',
    [
        (lambda a: a.__setitem__(1, 'missing.pth'), 'missing.pth does not ex'),
        (lambda a: a.__setitem__(0, 'missing.py'), 'missing.py does not ex'),
        (lambda a: a.__setitem__(2, a[1]), 'exists; --force'),
        (lambda a: a.__setitem__(2, 'out.py'), 'out.py is the name of the co'),
        (
            lambda a: a.__setitem__(0, DET),
            'trained.pth does not fit',
        ),
    ],
)
def test_bad_input_of_deploy_ends_in_one_line(
    change, message, digits_model, tmp_path
):
    config, checkpoint, _ = digits_model
    args = [config, checkpoint, tmp_path / 'out.pth']
    change(args)
    result = python(ROOT / 'tools/deploy.py', *args)
    assert result.returncode == 1
    assert message in result.stderr
    assert 'Traceback' not in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize('lost', ['trained.pth', 'config.py', 'base.py'])
def test_deploy_replaces_nothing_that_it_reads(lost, digits_model):
    """Also with --force: there is no way back from the folded form."""
    config, checkpoint, _ = digits_model
    before = (config.parent / lost).read_bytes()
    out = (config.parent / lost).with_suffix('.pth')
    args = [config, checkpoint, out, '--force']
    result = python(ROOT / 'tools/deploy.py', *args)
    assert result.returncode == 1
    assert 'name another' in result.stderr
    assert (config.parent / lost).read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize(
    'name', ['mask-rcnn_ba-r18_fpn_nuclei', 'upernet_ba-r18_nuclei']
)
def test_detections_and_masks_stay_the_same_on_real_images(name):
    """BN in the backbone, so that there is something to fuse."""
    cfg = Config.fromfile(ROOT / f'configs/demo/{name}.py')
    cfg.model.backbone.norm_cfg = dict(type='BN')
    cfg.model.backbone.attention = V2
    cfg.model.backbone.init_cfg = None
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    calibrated(model.backbone)
    model.eval()
    path = min((ROOT / 'data/nuclei_mini/images/val').iterdir())
    image = torch.from_numpy(mmcv.imread(path)).permute(2, 0, 1)

    def predict():
        from mmdet.structures import DetDataSample
        from mmseg.structures import SegDataSample

        sample = (DetDataSample if 'mask' in name else SegDataSample)()
        shape = tuple(image.shape[1:])
        sample.set_metainfo(
            dict(
                img_shape=shape,
                ori_shape=shape,
                pad_shape=shape,
                scale_factor=(1.0, 1.0),
            )
        )
        data = dict(inputs=[image], data_samples=[sample])
        with torch.no_grad():
            result = model.test_step(data)[0]
        if 'mask' in name:
            found = result.pred_instances
            return found.bboxes, found.scores, found.labels, found.masks
        return (result.seg_logits.data,)

    before = predict()
    model.backbone.switch_to_deploy()
    for a, b in zip(predict(), before, strict=True):
        if a.dtype == torch.bool:  # masks: a pixel may lie on the threshold
            assert (a != b).float().mean() < 1e-5
        else:
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-3)
