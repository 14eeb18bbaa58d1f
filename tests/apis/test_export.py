"""tools/export.py: the files give what the models give, or are not there."""

import json

import cv2
import numpy as np
import pytest
import torch
from runs import IMAGES, TASKS
from torch import nn

from banet.apis.export import export, ExportError
from banet.apis.exportable import MatrixPool
from banet.apis.inference import load
from banet.utils.errors import CheckpointError

pytest.importorskip(
    'onnxruntime', reason='pip install -r requirements/optional.txt'
)
if not hasattr(torch.export, 'Dim') or not hasattr(
    torch.export.Dim, 'DYNAMIC'
):
    pytest.skip('export needs torch >= 2.6', allow_module_level=True)

IMAGE = cv2.imread(IMAGES[0])[:128, :192]


@pytest.fixture
def predictor(checkpoints):
    """Loaded anew: exporting may fold it."""
    return lambda task: load(TASKS[task][0], checkpoints[task], 'cpu')


def model_outputs(model, task, x):
    """The library's own way to these outputs."""
    with torch.no_grad():
        if task == 'cls':
            return [model.head(model.extract_feat(x))]
        if task == 'det':
            return list(model.neck(model.backbone(x)))
        logits = model.decode_head(model.backbone(x))
        return [
            nn.functional.interpolate(
                logits, x.shape[2:], mode='bilinear', align_corners=False
            )
        ]


def run_onnx(path, x):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path))
    return session.run(None, {'images': x.numpy()})


def run_pt2(path, x):
    with torch.no_grad():
        found = torch.export.load(path).module()(x)
    found = found if isinstance(found, (tuple, list)) else [found]
    return [f.numpy() for f in found]


@pytest.mark.slow
@pytest.mark.parametrize(
    'task,suffix,deploy',
    [
        ('cls', '.onnx', True),
        ('seg', '.onnx', False),
        ('det', '.onnx', True),
        ('seg', '.pt2', True),
    ],
)
def test_dynamic_files_serve_another_batch_and_size(
    predictor, tmp_path, task, suffix, deploy
):
    path = tmp_path / f'out{suffix}'
    export(predictor(task), path, [IMAGE], deploy=deploy, dynamic=True)
    x = torch.randn(3, 3, 256, 320)
    run = run_onnx if suffix == '.onnx' else run_pt2
    expected = model_outputs(predictor(task).model, task, x)
    for a, b in zip(run(path, x), expected, strict=True):
        assert np.abs(a - b.numpy()).max() < 1e-4 * b.abs().max()


@pytest.mark.slow
def test_fixed_file_of_the_backbone_gives_its_features(predictor, tmp_path):
    path = tmp_path / 'out.pt2'
    done = export(predictor('seg'), path, [IMAGE], part='backbone')
    assert done.difference < 1e-5 and 'backbone' in done.outputs
    backbone, x = predictor('seg').model.backbone, torch.randn(1, 3, 128, 192)
    with torch.no_grad():
        expected = backbone(x)
    for a, b in zip(run_pt2(path, x), expected, strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_metadata_say_what_goes_in(predictor, tmp_path):
    import onnx

    export(predictor('cls'), tmp_path / 'out.onnx', [IMAGE])
    found = onnx.load(tmp_path / 'out.onnx').metadata_props
    found = {entry.key: entry.value for entry in found}
    assert json.loads(found['classes']) == list('0123456789')
    assert json.loads(found['mean']) == [123.675, 116.28, 103.53]
    assert found['channels'] == 'RGB'
    assert found['task'] == 'cls'


@pytest.mark.parametrize('size', [1, 2, 3, 6])
def test_matrix_pool_is_adaptive_pooling(size):
    for shape in ((8, 9), (6, 6), (23, 17), (5, 64)):
        x = torch.randn(2, 3, *shape, dtype=torch.float64)
        expected = nn.AdaptiveAvgPool2d(size)(x)
        torch.testing.assert_close(
            MatrixPool((size, size))(x), expected, rtol=0, atol=1e-14
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    'change,message',
    [
        (lambda out: out + torch.rand_like(out), 'its outputs differ by'),
        (lambda out: out * float('nan'), 'its outputs differ by'),
        (lambda out: out * float(out.max()), 'cannot be exported'),
    ],
    ids=['another result', 'NaN', 'unsupported'],
)
def test_what_fails_leaves_no_file(predictor, tmp_path, change, message):
    one, path = predictor('cls'), tmp_path / 'out.onnx'
    one.model.backbone.conv1.register_forward_hook(
        lambda module, args, out: change(out)
    )
    with pytest.raises(ExportError, match=message):
        export(one, path, [IMAGE])
    assert list(tmp_path.iterdir()) == []


def test_targets_are_checked_first(predictor, tmp_path):
    one = predictor('cls')
    with pytest.raises(ExportError, match='must end in .onnx or .pt2'):
        export(one, tmp_path / 'out.trt', [IMAGE])
    (tmp_path / 'out.onnx').write_text('mine')
    with pytest.raises(CheckpointError, match='--force'):
        export(one, tmp_path / 'out.onnx', [IMAGE])
    assert (tmp_path / 'out.onnx').read_text() == 'mine'
