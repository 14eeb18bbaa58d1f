"""Files that exported graphs are written to, and run from."""

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor
from torch.export import ExportedProgram

from ..utils.compat import MissingPackage, need

Run = Callable[[Tensor], list[np.ndarray]]
# suffix -> packages that write and run such files, all optional
ONNX = 'onnx', 'onnxscript', 'onnxruntime'
NEEDS = {'.onnx': ONNX, '.xml': (*ONNX, 'openvino'), '.pt2': ()}


def need_packages(suffix: str) -> None:
    """Raise MissingPackage if files of that suffix cannot be handled here."""
    if not hasattr(getattr(torch.export, 'Dim', None), 'DYNAMIC'):
        raise MissingPackage(
            f'exports need torch 2.6 or later, not {torch.__version__}.'
        )
    for package in NEEDS[suffix]:
        need(package, package)


def flat(outputs) -> list:
    """One tensor, or several, as a list."""
    return list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]


@contextmanager
def quiet() -> Iterator[None]:
    """Without the exporters' progress, and torch's warnings about itself."""
    with redirect_stdout(StringIO()), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield


def files_of(target: Path) -> list[Path]:
    """All files that belong to ``target``: OpenVINO's weights lie beside."""
    beside = [target.with_suffix('.bin')] if target.suffix == '.xml' else []
    return [*beside, target]


def metadata_of(predictor, module) -> dict[str, str]:
    """What a user of the file must know, in texts."""
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


def write(program: ExportedProgram, file: Path, metadata: dict) -> None:
    """Write the graph in the format that the file's suffix names."""
    if file.suffix == '.pt2':
        torch.export.save(
            program, file, extra_files={'metadata.json': json.dumps(metadata)}
        )
        return
    from .onnx_graph import pool_globally

    graph: Any = torch.onnx.export(
        program, dynamo=True, verbose=False, input_names=['images']
    )
    pool_globally(graph.model)
    graph.model.metadata_props.update(metadata)
    onnx = file.with_suffix('.onnx')
    graph.save(str(onnx), external_data=False)
    if file.suffix == '.xml':
        openvino = need('openvino', 'openvino')
        model = openvino.Core().read_model(onnx)
        for key, value in metadata.items():
            model.set_rt_info(value, ['banet', key])
        openvino.save_model(model, file, compress_to_fp16=False)


def opened(file: Path, threads: Optional[int] = None) -> Run:
    """A function that runs the graph of ``file`` on images, in float32."""
    return {'.onnx': _open_onnx, '.xml': _open_openvino, '.pt2': _open_pt2}[
        file.suffix
    ](file, threads)


def _open_onnx(file, threads):
    runtime = need('onnxruntime', 'onnxruntime')
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads or 0  # 0: as it likes
    session = runtime.InferenceSession(
        str(file), options, providers=['CPUExecutionProvider']
    )
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x.numpy()})


def _open_openvino(file, threads):
    # By itself it would calculate in bfloat16 where the CPU has it.
    config = dict(INFERENCE_PRECISION_HINT='f32', PERFORMANCE_HINT='LATENCY')
    if threads:
        config['INFERENCE_NUM_THREADS'] = threads
    model = (
        need('openvino', 'openvino').Core().compile_model(file, 'CPU', config)
    )
    request = model.create_infer_request()

    def run(x):
        found = request.infer([x.numpy()])
        return [found[output] for output in model.outputs]

    return run


def _open_pt2(file, threads):
    module = torch.export.load(file).module()

    def run(x):
        with torch.no_grad():
            return [out.numpy() for out in flat(module(x))]

    return run


def quantise(file: Path, images: Sequence[Tensor]) -> None:
    """Let the ONNX graph of ``file`` calculate in eight bits.

    Weights per channel, activations by the range that they have on
    ``images``, by onnxruntime's static quantisation.
    """
    from onnxruntime.quantization import (
        CalibrationDataReader,
        quant_pre_process,
        quantize_static,
    )

    class Reader(CalibrationDataReader):
        rest = iter([dict(images=x.numpy()) for x in images])

        def get_next(self):
            return next(self.rest, None)

    result = file.with_name(f'int8-{file.name}')
    # Shapes of all maps, which the quantiser wants to know.
    quant_pre_process(str(file), str(file), skip_symbolic_shape=True)
    quantize_static(str(file), str(result), Reader(), per_channel=True)
    result.replace(file)
