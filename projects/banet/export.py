"""Export to ONNX and torch.export's .pt2, verified before it is written."""

import copy
import json
import tempfile
import warnings
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from torch import nn, Tensor

from .compat import need
from .errors import BanetError
from .files import check_target, put_whole
from .inference import Predictor
from .model import deployable

TOLERANCE = 1e-4  # of the largest output, float32


class ExportError(BanetError):
    """Why nothing was exported, with the remedy."""


class Part(nn.Module):
    """What is exported: normalised images in, plain tensors out.

    Args:
        model (nn.Module): Classifier, detector or segmentor.
        task (str): ``'cls'``, ``'det'`` or ``'seg'``.
        part (str): ``'backbone'`` or ``'model'``.
    """

    def __init__(self, model: nn.Module, task: str, part: str):
        super().__init__()
        self.model, self.task, self.part = model, task, part

    @property
    def outputs(self) -> str:
        """What comes out, in words."""
        if self.part == 'backbone':
            return 'feature maps of the backbone, (N, C, H, W) each'
        return dict(
            cls='logits (N, classes)',
            det='feature maps of the neck, (N, C, H, W) each',
            seg='logits (N, classes, H, W), of the size of the input',
        )[self.task]

    def forward(self, x: Tensor):
        """(N, 3, H, W) to what :attr:`outputs` says."""
        if self.part == 'backbone':
            return tuple(self.model.backbone(x))
        if self.task == 'cls':
            return self.model(x, mode='tensor')
        if self.task == 'det':
            return tuple(self.model.extract_feat(x))
        return self.model.encode_decode(x, [dict(img_shape=x.shape[2:])])


@dataclass(frozen=True)
class Exported:
    """What came of an export.

    Attributes:
        outputs (str): What comes out of the graph, in words.
        difference (float): Largest difference from the model's outputs, as a
            part of the largest output.
        eager, graph (float): Median seconds of the model as it was loaded,
            and of the graph; NaN if they were not timed.
    """

    outputs: str
    difference: float
    eager: float
    graph: float


class MatrixPool(nn.Module):
    """nn.AdaptiveAvgPool2d as two matrix products.

    torch's ONNX exporter bakes the input's size into that layer, so that the
    graph pools wrongly at any other; these matrices follow the size.

    Args:
        size (tuple): Height and width of the output.
    """

    def __init__(self, size: tuple):
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, *size)."""
        rows, columns = (
            self._matrix(length, out, x)
            for length, out in zip(x.shape[2:], self.size)
        )
        return rows @ x @ columns.T

    @staticmethod
    def _matrix(length, out, like):
        """(out, length): row i averages a share of the places."""
        cells = torch.arange(out, device=like.device)[:, None]
        places = torch.arange(length, device=like.device)[None]
        start = cells * length // out
        end = ((cells + 1) * length + out - 1) // out
        inside = (places >= start) & (places < end)
        return inside.to(like.dtype) / (end - start).to(like.dtype)


def follow_size(module: nn.Module) -> None:
    """Replace adaptive pooling to more than one pixel by MatrixPool."""
    for name, child in module.named_children():
        if isinstance(child, nn.AdaptiveAvgPool2d):
            size = child.output_size
            size = size if isinstance(size, tuple) else (size, size)
            if size != (1, 1) and None not in size:
                setattr(module, name, MatrixPool(size))
        else:
            follow_size(child)


def export(
    predictor: Predictor,
    target: Path,
    images: list[np.ndarray],
    part: str = 'model',
    deploy: bool = False,
    dynamic: bool = False,
    force: bool = False,
    rounds: int = 0,
) -> Exported:
    """Export a trained model, verify the result on images, and write it.

    The graph takes float32 images (N, 3, H, W) as the data preprocessor
    makes them; mean, std, channel order and classes are in the file's
    metadata. Without ``dynamic`` its size is that of the images after the
    test pipeline, and N is 1.

    Args:
        predictor (Predictor): What :func:`banet.load` returns; it is changed.
        target (Path): File to write, ``.onnx`` or ``.pt2``.
        images (list[ndarray]): Real images to verify on, (H, W, 3), BGR.
        part (str): ``'model'``, of a detector backbone and neck, or
            ``'backbone'``. Defaults to ``'model'``.
        deploy (bool): Fold the attention and norms first.
        dynamic (bool): Let N, H and W be free; in .pt2 files H and W are
            multiples of 32, for detectors of 64.
        force (bool): Replace an existing file.
        rounds (int): Time the model as loaded and the result on the first
            image, with ``dynamic`` a pair, so many times in turns. Defaults
            to 0.

    Returns:
        Exported: What came of it.

    Raises:
        ExportError: The format is unknown, an operation cannot be exported,
            or the results differ. Nothing is written then.
    """
    target = Path(target)
    if target.suffix not in WRITERS:
        raise ExportError(
            f'{target} has no known format: its name must end in '
            f'{" or ".join(WRITERS)}.'
        )
    check_target(target, force)
    if target.suffix == '.onnx':
        for module in ('onnx', 'onnxscript', 'onnxruntime'):
            need(module, module)
    predictor.model.cpu()
    inputs = [_normalised(predictor, image) for image in images]
    module = Part(predictor.model, predictor.task, part).eval()
    shapes = None
    if len({x.shape for x in inputs}) > 1 and not dynamic:
        raise ExportError(
            'the images have several sizes after the test pipeline: name one '
            'image, or export with --dynamic.'
        )
    if dynamic and not hasattr(torch.export.Dim, 'DYNAMIC'):
        raise ExportError(
            f'torch {torch.__version__} exports no free sizes: --dynamic '
            'needs torch 2.6 or later.'
        )
    if dynamic:
        step = _step(target.suffix, predictor.task)
        inputs = _other_shapes(inputs, step)
        shapes = (_free(step),)
    with torch.no_grad():
        expected = [_flat(module(x)) for x in inputs]
    eager = copy.deepcopy(module) if rounds else None
    if deploy:
        deployable(predictor.model).switch_to_deploy()
    if dynamic:
        follow_size(module)
    # The example of a free batch is not 1, which would be taken as fixed.
    example = inputs[-1]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, target.name)
        try:
            with torch.no_grad(), _quiet():
                program = torch.export.export(
                    module, (example,), dynamic_shapes=shapes
                )
                run = WRITERS[target.suffix](
                    program, file, _metadata(predictor, module)
                )
            # numpy's, which hands NaN on.
            worst = np.max(
                [
                    _difference(run, x, outputs)
                    for x, outputs in zip(inputs, expected)
                ]
            )
        except Exception as error:  # whatever exporters and runtimes raise
            raise ExportError(
                f'{target} was not written, the {part} cannot be exported: '
                f'{type(error).__name__}: {_first_line(error)}'
            ) from error
        if not worst < TOLERANCE:
            raise ExportError(
                f'{target} was not written: its outputs differ by '
                f'{worst:.1e} of the largest one (limit {TOLERANCE:.0e}).'
            )
        times = _times(eager, run, example, rounds)
        put_whole(file.read_bytes(), target)
    return Exported(module.outputs, worst, *times)


@contextmanager
def _quiet():
    """Without the exporters' progress, and torch's warnings about itself."""
    with redirect_stdout(StringIO()), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield


def _times(eager, run, x, rounds):
    """Median seconds of both, which take turns; NaN without rounds."""
    times = []
    for _ in range(rounds):
        start = perf_counter()
        with torch.no_grad():
            eager(x)
        middle = perf_counter()
        run(x)
        times.append((middle - start, perf_counter() - middle))
    return np.median(times, axis=0).tolist() if times else [float('nan')] * 2


def _normalised(predictor, image):
    inputs = predictor.normalize(predictor.preprocess(image))
    return inputs['inputs'].cpu().float()


def _step(suffix, task):
    """Steps in which the sizes of images are free.

    torch.export's graphs keep the parity that the example has at each
    halving; in a detector's neck there is one more.
    """
    return 1 if suffix == '.onnx' else 64 if task == 'det' else 32


def _free(step):
    """Sizes that may change, those of images in steps."""
    if step == 1:
        return dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC)
    batch, rows, columns = (
        torch.export.Dim(name, min=least)
        for name, least in (('batch', 1), ('rows', 2), ('columns', 2))
    )
    return {0: batch, 2: step * rows, 3: step * columns}


def _other_shapes(inputs, step):
    """The images in sizes that fit, a smaller one, and a batch of two."""
    x = inputs[0]
    sizes = [x.shape[2:] for x in inputs]
    sizes.append([max(64, 3 * side // 4 + 5) for side in x.shape[2:]])
    resized = [
        nn.functional.interpolate(
            image,
            [max(64, side // step * step) for side in size],
            mode='bilinear',
        )
        for image, size in zip([*inputs, x], sizes)
    ]
    return [*resized, torch.cat([resized[0], resized[0].flip(3)])]


def _flat(outputs):
    return list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]


def _first_line(error):
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]


def _difference(run, x, expected):
    found = run(x)
    return np.max(
        [
            np.abs(a - b.numpy()).max() / b.abs().max().clamp(1e-12).item()
            for a, b in zip(found, expected, strict=True)
        ]
    )


def _metadata(predictor, module):
    preprocessor = predictor.model.data_preprocessor
    plain = {
        key: [
            round(v, 4) for v in getattr(preprocessor, key).flatten().tolist()
        ]
        for key in ('mean', 'std')
        if getattr(preprocessor, key, None) is not None
    }
    swaps = getattr(preprocessor, '_channel_conversion', None)
    if swaps is None:  # mmpretrain's
        swaps = getattr(preprocessor, 'to_rgb', False)
    return dict(
        task=predictor.task,
        config=Path(predictor.config.filename or '').name,
        outputs=module.outputs,
        classes=json.dumps(predictor.classes),
        channels='RGB' if swaps else 'BGR',
        **{key: json.dumps(value) for key, value in plain.items()},
    )


def _write_onnx(program, file, metadata):
    import onnxruntime

    graph = torch.onnx.export(
        program, dynamo=True, verbose=False, input_names=['images']
    )
    graph.model.metadata_props.update(metadata)
    graph.save(str(file), external_data=False)
    session = onnxruntime.InferenceSession(
        str(file), providers=['CPUExecutionProvider']
    )
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x.numpy()})


def _write_pt2(program, file, metadata):
    torch.export.save(
        program, file, extra_files={'metadata.json': json.dumps(metadata)}
    )
    module = torch.export.load(file).module()

    def run(x):
        with torch.no_grad():
            return [out.numpy() for out in _flat(module(x))]

    return run


WRITERS = {'.onnx': _write_onnx, '.pt2': _write_pt2}
