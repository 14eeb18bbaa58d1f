"""Export to ONNX, OpenVINO and .pt2, verified before it is written."""

import copy
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from torch import nn

from ..utils.errors import BanetError
from ..utils.files import check_target, put_whole
from .exportable import follow_size, Part
from .formats import (
    files_of,
    flat,
    metadata_of,
    need_packages,
    NEEDS,
    opened,
    quantise,
    quiet,
    write,
)
from .model import deployable
from .predictor import Predictor

TOLERANCE = 1e-4  # of the largest output, float32
EIGHT_BITS = 0.25  # likewise; more means that the graph is broken


class ExportError(BanetError):
    """Why nothing was exported, with the remedy."""


@dataclass(frozen=True)
class Exported:
    """What came of an export.

    Attributes:
        outputs (str): What comes out of the graph, in words.
        difference (float): Largest difference from the model's outputs, as a
            part of the largest output.
        agreement (float): Share of the images with the same best class; NaN
            if the outputs are no classes.
        eager, graph (float): Median seconds of the model as it was loaded,
            and of the graph; NaN if they were not timed.
    """

    outputs: str
    difference: float
    agreement: float
    eager: float
    graph: float


def export(
    predictor: Predictor,
    target: Path,
    images: list[np.ndarray],
    part: str = 'model',
    deploy: bool = False,
    dynamic: bool = False,
    force: bool = False,
    rounds: int = 0,
    int8: bool = False,
) -> Exported:
    """Export a trained model, verify the result on images, and write it.

    The graph takes float32 images (N, 3, H, W) as the data preprocessor
    makes them; mean, std, channel order and classes are in the file's
    metadata. Without ``dynamic`` its size is that of the images after the
    test pipeline, and N is 1.

    Args:
        predictor (Predictor): What :func:`banet.load` returns; it is changed.
        target (Path): File to write, ``.onnx``, ``.xml`` (OpenVINO's, with
            its weights in ``.bin`` beside it) or ``.pt2``.
        images (list[ndarray]): Real images to verify on, (H, W, 3), BGR.
        part (str): ``'model'``, of a detector backbone and neck, or
            ``'backbone'``. Defaults to ``'model'``.
        deploy (bool): Fold the attention and norms first.
        dynamic (bool): Let N, H and W be free; in .pt2 files H and W are
            multiples of 32, for detectors of 64.
        force (bool): Replace an existing file.
        rounds (int): Time the model as loaded and the result on the last
            image, with ``dynamic`` a pair, so many times in turns. Defaults
            to 0.
        int8 (bool): Calculate in eight bits, only in ``.onnx``. Ranges are
            taken from the first half of the images, the difference from the
            others.

    Returns:
        Exported: What came of it.

    Raises:
        ExportError: The format is unknown, an operation cannot be exported,
            or the results differ. Nothing is written then.
    """
    target = Path(target)
    check_export(target, len(images), force, int8)
    predictor.model.cpu()
    inputs = [_normalised(predictor, image) for image in images]
    module = Part(predictor.model, predictor.task, part).eval()
    shapes = None
    if len({x.shape for x in inputs}) > 1 and not dynamic:
        raise ExportError(
            'the images have several sizes after the test pipeline: name one '
            'image, or export with --dynamic.'
        )
    if dynamic:
        step = _step(target.suffix, predictor.task)
        inputs = _other_shapes(inputs, step)
        shapes = (_free(step),)
    with torch.no_grad():
        expected = [flat(module(x)) for x in inputs]
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
            with torch.no_grad(), quiet():
                program = torch.export.export(
                    module, (example,), dynamic_shapes=shapes
                )
                write(program, file, metadata_of(predictor, module))
                if int8:
                    half = len(images) // 2
                    quantise(file, inputs[:half])
                    inputs, expected = inputs[half:], expected[half:]
            run = opened(file)
            found = [run(x) for x in inputs]
        except Exception as error:  # whatever exporters and runtimes raise
            raise ExportError(
                f'{target} was not written, the {part} cannot be exported: '
                f'{type(error).__name__}: {_first_line(error)}'
            ) from error
        # numpy's, which hands NaN on.
        worst = np.max([_difference(*pair) for pair in zip(found, expected)])
        limit = EIGHT_BITS if int8 else TOLERANCE
        if not worst < limit:
            raise ExportError(
                f'{target} was not written: its outputs differ by '
                f'{worst:.1e} of the largest one (limit {limit:.0e}).'
            )
        times = _times(eager, run, example, rounds)
        for made, path in zip(files_of(file), files_of(target)):
            put_whole(made.read_bytes(), path)
    classes = predictor.task == 'cls' and part == 'model'
    agreement = _agreement(found, expected) if classes else float('nan')
    return Exported(module.outputs, worst, agreement, *times)


def check_export(
    target: Path, images: int, force: bool = False, int8: bool = False
) -> None:
    """What :func:`export` can tell before there is a model.

    Args:
        images (int): How many there are to verify on.

    Raises:
        ExportError: The format is unknown, or cannot have eight bits, or
            those are to be had from fewer than two images.
        CheckpointError: The file must not or cannot be written.
        MissingPackage: A package of the format's is missing.
    """
    if target.suffix not in NEEDS:
        raise ExportError(
            f'{target} has no known format: its name must end in '
            f'{" or ".join(NEEDS)}.'
        )
    if int8 and target.suffix != '.onnx':
        raise ExportError(f'{target}: eight bits are for .onnx files.')
    if int8 and images < 2:
        raise ExportError(
            'eight bits need images like those to come, two or more: their '
            'ranges are taken from half of them (--images).'
        )
    for path in files_of(target):
        check_target(path, force)
    need_packages(target.suffix)


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
    if suffix != '.pt2':  # .xml is made from an .onnx
        return 1
    return 64 if task == 'det' else 32


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


def _first_line(error):
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]


def _difference(found, expected):
    return np.max(
        [
            np.abs(a - b.numpy()).max() / b.abs().max().clamp(1e-12).item()
            for a, b in zip(found, expected, strict=True)
        ]
    )


def _agreement(found, expected):
    """Share of the images whose best class is the same."""
    same = [
        (a.argmax(1) == b.numpy().argmax(1)).mean()
        for (a,), (b,) in zip(found, expected)
    ]
    return float(np.mean(same))
