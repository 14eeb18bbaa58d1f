"""What runtimes calculate faster, written into an exported ONNX graph.

Runtimes have a kernel for global average pooling which keeps their blocked
layouts; torch writes a mean over two axes. What follows on the pooled vectors,
an attention's Linears, becomes 1x1 convs on maps of one pixel.
"""

import onnx_ir as ir

# On vectors and on maps of one pixel the same.
POINTWISE = {'Relu', 'Sigmoid', 'HardSigmoid', 'Mul', 'Add'}
SPATIAL = [2, 3]


def pool_globally(model: ir.Model) -> int:
    """Rewrite means over height and width, and what the vectors go through.

    Args:
        model (onnx_ir.Model): As torch.onnx.export gives it; it is changed.

    Returns:
        int: How many means became GlobalAveragePool.
    """
    graph = model.graph
    maps: dict[ir.Value, ir.Value] = {}  # vectors (N, C) -> (N, C, 1, 1)
    pooled = 0
    for node in list(graph):
        if _is_mean(node):
            pooled += 1
            made = _put(node, 'GlobalAveragePool', [node.inputs[0]])
            if _keeps_axes(node):
                _replace(node, made)
            else:
                maps[node.outputs[0]] = made
        elif node.op_type == 'Unsqueeze' and node.inputs[0] in maps:
            if _constant(node.inputs[1]) == SPATIAL:
                _replace(node, maps[node.inputs[0]])
        elif (inputs := _as_maps(node, maps)) is not None:
            kind = 'Conv' if node.op_type == 'Gemm' else node.op_type
            kept = [] if kind == 'Conv' else list(node.attributes.values())
            maps[node.outputs[0]] = _put(node, kind, inputs, kept)
    _give_vectors_back(maps)
    _drop_unused(graph)
    return pooled


def _constant(value):
    return value.const_value.numpy().tolist()


def _is_mean(node):
    return (
        node.op_type == 'ReduceMean'
        and len(node.inputs) == 2
        and node.inputs[1].const_value is not None
        and sorted(a % 4 for a in _constant(node.inputs[1])) == SPATIAL
        and node.inputs[0].shape is not None
        and len(node.inputs[0].shape) == 4
    )


def _keeps_axes(node):
    attribute = node.attributes.get('keepdims')
    return attribute is None or bool(attribute.as_int())


def _put(node, kind, inputs, attributes=()):
    """The output of a new node, which stands before ``node``."""
    made = ir.Node('', kind, inputs, attributes)
    old = node.outputs[0]
    made.outputs[0].name = f'{old.name}_map'
    made.outputs[0].dtype = old.dtype
    node.graph.insert_before(node, made)
    return made.outputs[0]


def _replace(node, value):
    node.outputs[0].replace_all_uses_with(value)


def _as_maps(node, maps):
    """Inputs of ``node``'s equivalent on maps of one pixel, if it has one."""
    inputs = list(node.inputs)
    if node.op_type == 'Gemm' and inputs[0] in maps:
        factors = [node.attributes.get(n) for n in ('alpha', 'beta')]
        if (
            any(f is not None and f.as_float() != 1 for f in factors)
            or 'transB' not in node.attributes
            or not node.attributes['transB'].as_int()
            or inputs[1].const_value is None
        ):
            return None
        weight = inputs[1].const_value.numpy()[:, :, None, None]
        name = f'{inputs[1].name}.map'
        initializers = node.graph.initializers
        if name not in initializers:
            initializers[name] = ir.Value(
                name=name,
                const_value=ir.tensor(weight, name=name),
                shape=ir.Shape(weight.shape),
                type=inputs[1].type,
            )
        return [maps[inputs[0]], initializers[name], *inputs[2:]]
    joins = node.op_type == 'Concat' and node.attributes['axis'].as_int() == 1
    if not joins and node.op_type not in POINTWISE:
        return None
    found = [maps.get(value) for value in inputs]
    return None if None in found else found


def _give_vectors_back(maps):
    """Flatten the maps where something else takes the vectors."""
    for vectors, made in maps.items():
        users = [
            (node, i)
            for node, i in vectors.uses()
            if node.outputs[0] not in maps
            and not (
                node.op_type == 'Unsqueeze' and not node.outputs[0].uses()
            )
        ]
        producer = vectors.producer()
        if users or vectors.is_graph_output():
            flat = ir.Node('', 'Flatten', [made], [ir.AttrInt64('axis', 1)])
            flat.outputs[0].name = f'{vectors.name}_flat'
            producer.graph.insert_after(producer, flat)
            for node, i in users:
                node.replace_input_with(i, flat.outputs[0])
            for i, output in enumerate(producer.graph.outputs):
                if output is vectors:
                    name = vectors.name
                    vectors.name = f'{name}_old'
                    flat.outputs[0].name = name
                    flat.outputs[0].shape = vectors.shape
                    flat.outputs[0].type = vectors.type
                    producer.graph.outputs[i] = flat.outputs[0]


def _drop_unused(graph):
    for node in reversed(list(graph)):
        outputs = node.outputs
        if not any(o.uses() or o.is_graph_output() for o in outputs):
            graph.remove(node, safe=True)
    for name in list(graph.initializers):
        if not graph.initializers[name].uses():
            del graph.initializers[name]
