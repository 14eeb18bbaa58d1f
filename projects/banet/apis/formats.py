"""Files that exported graphs are written to, and run from."""

import json
from pathlib import Path

import torch


def flat(outputs):
    return list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]


def metadata_of(predictor, module):
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
            return [out.numpy() for out in flat(module(x))]

    return run


WRITERS = {'.onnx': _write_onnx, '.pt2': _write_pt2}
