"""Compilers, tracers, exporters, torch.func, quantisation, conversions."""

import copy

import pytest
import torch
import torch.autograd.forward_ad as forward_ad
from contract import close, contract, gradients, images, loss, same_gradients
from inputs import needs_new_torch
from mmcv.cnn import fuse_conv_bn
from mmengine.model import convert_sync_batchnorm, revert_sync_batchnorm
from mmengine.model.efficient_conv_bn_eval import (
    turn_on_efficient_conv_bn_eval,
)
from torch import nn
from torch.ao.quantization import get_default_qconfig_mapping
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx
from torch.func import functional_call, grad, jvp, vmap
from torchvision.models.feature_extraction import (
    create_feature_extractor,
    get_graph_node_names,
)

pytestmark = pytest.mark.slow  # compilers
# mmpretrain's own blocks and paddings ask their input for its size.
NO_FX = (
    'convnext',
    'convnext-v2',
    'swin',
    'efficientnet',
    'efficientnet-es',
    'efficientnet-v2',
)


def it_can_be_traced_by_jit(case):
    model = case.build()
    with torch.no_grad():
        traced = torch.jit.trace(model, images(2), check_trace=False)
        close(traced(images(2, seed=3)), model(images(2, seed=3)))


def it_can_be_traced_by_fx(case):
    model = case.build()
    graph = torch.fx.symbolic_trace(model)
    with torch.no_grad():
        close(graph(images(2)), model(images(2)))


def features_can_be_extracted(case):
    model = case.build()
    *_, name = (n for n in get_graph_node_names(model)[1] if '.' in n)
    extractor = create_feature_extractor(model, [name])
    with torch.no_grad():
        assert extractor(images(2))[name].isfinite().all()


class Whole(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone


def mmengines_efficient_conv_bn_eval_keeps_the_outputs(case):
    model = Whole(case.build(norm_eval=True))
    turned = copy.deepcopy(model)
    turn_on_efficient_conv_bn_eval(turned, ['backbone'])
    close(turned.backbone(images(2)), model.backbone(images(2)), 1e-3)


def it_can_be_exported(case):
    model = case.build()
    program = torch.export.export(model, (images(2),))
    with torch.no_grad():
        close(program.module()(images(2, seed=2)), model(images(2, seed=2)))


def a_training_graph_can_be_exported_for_any_batch(case):
    model = case.build(training=True)
    batch = torch.export.Dim('batch', min=2)
    program = torch.export.export(
        model, (images(8),), dynamic_shapes=({0: batch},), strict=False
    )
    outputs = program.module()(images(3))
    assert all(len(out) == 3 for out in outputs)


def it_compiles_to_one_graph(case):
    for training in (True, False):
        torch._dynamo.reset()
        model = case.build(training)
        compiled = torch.compile(
            copy.deepcopy(model), backend='eager', fullgraph=True
        )
        found = []
        for network in (compiled, model):
            torch.manual_seed(2)  # of stochastic depth
            found.append(network(images()))
        close(*found, 1e-3)


def compiled_training_takes_any_batch_in_one_graph(case):
    torch._dynamo.reset()
    counter = torch._dynamo.testing.CompileCounter()
    model = torch.compile(case.build(training=True), backend=counter)
    for count in (8, 3, 6):
        x = images(count)
        torch._dynamo.mark_dynamic(x, 0)
        model(x)
    assert counter.frame_count == 1


def functional_gradients_are_the_gradients(case):
    model, x = case.build(), images(2)

    def value(parameters):
        return loss(functional_call(model, parameters, (x,)))

    expected = gradients(model, x)
    found = grad(value)(dict(model.named_parameters()))
    same_gradients({name: found[name] for name in expected}, expected)


def gradients_per_image_are_those_of_each_image(case):
    model, x = case.build(), images(2)
    parameters = {k: v.detach() for k, v in model.named_parameters()}

    def value(parameters, image):
        return loss(functional_call(model, parameters, (image[None],)))

    each = vmap(grad(value), in_dims=(None, 0))(parameters, x)
    expected = gradients(model, x[:1])
    same_gradients({name: each[name][0] for name in expected}, expected)


def forward_mode_gives_a_tangent(case):
    model, x = case.build(), images(2)
    model.requires_grad_(False)
    _, tangent = jvp(lambda z: model(z)[-1], (x,), (torch.ones_like(x),))
    with forward_ad.dual_level():
        out = model(forward_ad.make_dual(x, torch.ones_like(x)))[-1]
        close([forward_ad.unpack_dual(out).tangent], [tangent])


def jacobians_may_be_vectorised(case):
    model, x = case.build(), images(1)

    def few(z):
        return model(z)[-1].mean((2, 3))[:, :2]

    found, expected = (
        torch.autograd.functional.jacobian(few, x, vectorize=vectorize)
        for vectorize in (True, False)
    )
    close([found], [expected], 1e-3)


def forms(case):
    """The network and, of ours, its deploy form."""
    yield case.build()
    if not case.is_plain:
        model = case.build()
        model.switch_to_deploy()
        yield model


def dynamic_quantisation_stays_near(case):
    for form in forms(case):
        quantised = torch.ao.quantization.quantize_dynamic(
            copy.deepcopy(form), {nn.Linear}, dtype=torch.qint8
        )
        with torch.no_grad():
            close(quantised(images(2)), form(images(2)), 0.1)


def static_quantisation_stays_near(case):
    """Eight bits in every layer: measured 5 %, of the plain network, too."""
    for form in forms(case):
        prepared = prepare_fx(
            copy.deepcopy(form),
            get_default_qconfig_mapping('x86'),
            (images(4, (64, 64)),),
        )
        with torch.no_grad():
            prepared(images(4, (64, 64)))
            found, expected = (
                convert_fx(prepared)(images(4, (64, 64))),
                form(images(4, (64, 64))),
            )
        error = (found[-1] - expected[-1]).norm() / expected[-1].norm()
        assert error < 0.1


def conv_and_norm_can_be_fused(case):
    model = case.build()
    fused = fuse_conv_bn(copy.deepcopy(model))
    with torch.no_grad():
        close(fused(images(2)), model(images(2)), 1e-3)


def norms_can_be_synchronised_and_reverted(case):
    model = case.build()
    sync = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(model))
    with torch.no_grad():
        expected = model(images(2))
        close(sync(images(2)), expected)
        close(revert_sync_batchnorm(copy.deepcopy(sync))(images(2)), expected)
    convert_sync_batchnorm(copy.deepcopy(model))


FX = it_can_be_traced_by_fx, features_can_be_extracted
# One network per kind of block: compilers take seconds for each block.
KINDS = ('resnet18', 'mobilenet-v3', 'efficientnet', 'convnext')
test_tracers = contract(
    it_can_be_traced_by_jit,
    *FX,
    plain_fails=[(check.__name__, name) for check in FX for name in NO_FX],
)
test_efficient_conv_bn_eval = contract(
    mmengines_efficient_conv_bn_eval_keeps_the_outputs,
    networks=['resnet18', 'resnet18-v1d', 'resnext50', 'regnet'],
    variants=2,
)
test_compilers = needs_new_torch(
    contract(
        it_can_be_exported,
        it_compiles_to_one_graph,
        networks=[*KINDS, 'swin'],
        variants=1,
    )
)
# What the batch's size does to a graph, the attention's norm decides.
test_graphs_for_any_batch = needs_new_torch(
    contract(
        a_training_graph_can_be_exported_for_any_batch,
        compiled_training_takes_any_batch_in_one_graph,
        networks=['resnet18', 'mobilenet-v3'],
        variants=1,
    )
)
test_functional = needs_new_torch(
    contract(
        functional_gradients_are_the_gradients,
        gradients_per_image_are_those_of_each_image,
        forward_mode_gives_a_tangent,
        jacobians_may_be_vectorised,
        networks=[*KINDS, 'resnext50', 'regnet', 'swin'],
        variants=2,
    )
)
test_static_quantisation = contract(
    static_quantisation_stays_near,
    networks=['resnet18'],
    variants=1,
)
test_conversions = contract(
    dynamic_quantisation_stays_near,
    conv_and_norm_can_be_fused,
    norms_can_be_synchronised_and_reverted,
)
