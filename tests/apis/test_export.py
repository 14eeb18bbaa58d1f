"""tools/export.py: the files give what the models give, or are not there."""

import json
import sys
from collections import Counter

import cv2
import numpy as np
import pytest
import torch
from inputs import OLD_TORCH
from runs import IMAGES, python, TASKS, tool, trained_rival
from torch import nn

from banet.apis.export import export, ExportError
from banet.apis.exportable import MatrixPool
from banet.apis.formats import write
from banet.apis.inference import load
from banet.utils.compat import MissingPackage
from banet.utils.errors import CheckpointError

pytest.importorskip(
    'onnxruntime', reason='pip install -r requirements/optional.txt'
)
if OLD_TORCH:
    pytest.skip('export needs torch >= 2.6', allow_module_level=True)

IMAGE = cv2.imread(IMAGES[0])[:128, :192]


@pytest.fixture
def predictor(checkpoints):
    """Loaded anew: exporting may fold it."""
    return lambda task: load(TASKS[task][0], checkpoints[task], 'cpu')


@pytest.fixture(scope='module')
def folded(checkpoints, tmp_path_factory):
    """The classifier's deploy form, as onnx file."""
    path = tmp_path_factory.mktemp('folded') / 'out.onnx'
    one = load(TASKS['cls'][0], checkpoints['cls'], 'cpu')
    export(one, path, [IMAGE], deploy=True)
    return path


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
        ('seg', '.onnx', False),
        ('det', '.onnx', True),
        ('cls', '.pt2', True),
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


OPENVINO = """
import sys
import numpy as np
import openvino
path, images, result = sys.argv[1:]
exact = dict(INFERENCE_PRECISION_HINT='f32')
model = openvino.Core().compile_model(path, 'CPU', exact)
np.save(result, model([np.load(images)])[model.output(0)])
"""


@pytest.mark.slow
def test_openvinos_file_serves_another_batch_and_size(checkpoints, tmp_path):
    """In processes of its own: a training after OpenVINO may crash."""
    pytest.importorskip('openvino', reason='see requirements/optional.txt')
    path, script = tmp_path / 'out.xml', tmp_path / 'run.py'
    files = TASKS['cls'][0], checkpoints['cls'], path
    made = tool('export.py', *files, '--deploy', '--dynamic')
    assert made.returncode == 0, made.stderr
    script.write_text(OPENVINO)
    x = torch.randn(3, 3, 256, 320)
    np.save(tmp_path / 'x.npy', x.numpy())
    found = tmp_path / 'found.npy'
    ran = python(script, path, tmp_path / 'x.npy', found)
    assert ran.returncode == 0, ran.stderr
    model = load(*files[:2], 'cpu').model
    (expected,) = model_outputs(model, 'cls', x)
    error = np.abs(np.load(found) - expected.numpy()).max()
    assert error < 1e-4 * expected.abs().max()


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
@pytest.mark.parametrize('deploy', [False, True])
@pytest.mark.parametrize(
    'kind', ['SqueezeExcitation', 'EfficientChannelAttention']
)
def test_rivals_files_give_what_they_give(kind, deploy, tmp_path):
    config, checkpoint = trained_rival(kind, tmp_path)
    predictor = load(config, checkpoint, 'cpu')
    x = torch.randn(1, 3, 128, 192)
    expected = model_outputs(predictor.model, 'cls', x)
    path = tmp_path / 'out.onnx'
    done = export(predictor, path, [IMAGE], deploy=deploy)
    assert done.difference < 1e-5
    for a, b in zip(run_onnx(path, x), expected, strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_attention_of_the_file_is_maps_of_one_pixel(predictor, tmp_path):
    """Which keeps a runtime's blocked layouts, and has fast kernels."""
    import onnx

    path = tmp_path / 'out.onnx'
    export(predictor('cls'), path, [IMAGE], part='backbone', deploy=True)
    kinds = Counter(node.op_type for node in onnx.load(path).graph.node)
    # Two means and two Linears in each of the 8 blocks.
    assert kinds['GlobalAveragePool'] == 16
    assert kinds['Conv'] == 20 + 16
    assert not kinds.keys() & {'ReduceMean', 'Gemm', 'Unsqueeze', 'Flatten'}


class Pools(nn.Module):
    """Pooled vectors that go every way that vectors can go."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 4), nn.Linear(4, 6, bias=False)

    def forward(self, x):
        pooled, kept = x.mean((2, 3)), x.mean((-1, -2), keepdim=True)
        hidden = self.first(torch.cat([pooled[:, :3], pooled[:, 3:]], 1))
        both = torch.cat([pooled, pooled.relu()], 1)
        gate = self.second(hidden.relu()).sigmoid()[:, :, None, None]
        return x * gate + kept, pooled, hidden.softmax(1), both, x.mean(2)


def test_pooling_is_rewritten_and_nothing_else_changes(tmp_path):
    torch.manual_seed(0)
    module, x = Pools().eval(), torch.randn(2, 6, 5, 7)
    program = torch.export.export(module, (x,))
    write(program, tmp_path / 'pools.onnx', {})
    found = run_onnx(tmp_path / 'pools.onnx', x)
    for a, b in zip(found, module(x), strict=True):
        np.testing.assert_allclose(a, b.detach().numpy(), atol=1e-6)
    import onnx

    graph = onnx.load(tmp_path / 'pools.onnx').graph
    kinds = Counter(node.op_type for node in graph.node)
    assert kinds['GlobalAveragePool'] == 2 and kinds['ReduceMean'] == 1


@pytest.mark.slow
def test_eight_bits_change_little_and_say_how_much(
    predictor, folded, tmp_path
):
    images = [cv2.imread(path) for path in IMAGES]
    path = tmp_path / 'out.onnx'
    done = export(predictor('cls'), path, images, deploy=True, int8=True)
    assert done.agreement in (0, 1)  # of one image
    # The second, for the first gave the ranges.
    one = predictor('cls')
    x = one.normalize(one.preprocess(images[1]))['inputs'].float()
    (found,) = run_onnx(path, x)
    (expected,) = (y.numpy() for y in model_outputs(one.model, 'cls', x))
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    assert done.difference == pytest.approx(difference, rel=0.01)
    assert 1e-4 < difference < 0.25
    assert path.stat().st_size < 0.4 * folded.stat().st_size


@pytest.mark.parametrize(
    'name,images,message',
    [
        ('out.onnx', 1, 'eight bits need images'),
        ('out.xml', 2, 'eight bits are for .onnx'),
    ],
)
def test_eight_bits_need_images_and_onnx(
    predictor, tmp_path, name, images, message
):
    with pytest.raises(ExportError, match=message):
        export(predictor('cls'), tmp_path / name, [IMAGE] * images, int8=True)
    assert list(tmp_path.iterdir()) == []


def test_without_openvino_one_line_says_so(predictor, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'openvino', None)
    with pytest.raises(MissingPackage, match='pip install openvino'):
        export(predictor('cls'), tmp_path / 'out.xml', [IMAGE])
    assert list(tmp_path.iterdir()) == []


def test_neither_file_of_openvino_is_replaced_unasked(predictor, tmp_path):
    (tmp_path / 'out.bin').write_text('mine')
    with pytest.raises(CheckpointError, match='out.bin exists; --force'):
        export(predictor('cls'), tmp_path / 'out.xml', [IMAGE])
    assert (tmp_path / 'out.bin').read_text() == 'mine'


@pytest.mark.slow
def test_metadata_say_what_goes_in(folded):
    import onnx

    found = onnx.load(folded).metadata_props
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
    one, path = predictor('cls'), tmp_path / 'out.pt2'
    one.model.backbone.conv1.register_forward_hook(
        lambda module, args, out: change(out)
    )
    with pytest.raises(ExportError, match=message):
        export(one, path, [IMAGE])
    assert list(tmp_path.iterdir()) == []


def test_targets_are_checked_first(predictor, tmp_path):
    one = predictor('cls')
    with pytest.raises(ExportError, match='must end in .onnx or .xml or .pt2'):
        export(one, tmp_path / 'out.trt', [IMAGE])
    (tmp_path / 'out.onnx').write_text('mine')
    with pytest.raises(CheckpointError, match='--force'):
        export(one, tmp_path / 'out.onnx', [IMAGE])
    assert (tmp_path / 'out.onnx').read_text() == 'mine'
