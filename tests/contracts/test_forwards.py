"""One forward pass: shapes, layouts, precisions, nothing overwritten."""

import copy
import io
import pickle

import torch
from contract import close, contract, images, loss, NETWORKS


def outputs_are_those_of_the_plain_network_in_shape(case):
    model, x = case.build(), images()
    outputs = model(x)
    assert isinstance(outputs, tuple)
    expected = case.control.build()(x)
    assert [out.shape for out in outputs] == [out.shape for out in expected]
    assert all(out.isfinite().all() for out in outputs)
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            close(model(x), outputs)


def odd_sizes_give_the_plain_networks_shapes(case):
    model, control = case.build(), case.control.build()
    for size in ((96, 64), (61, 83), (33, 32)):
        x = images(2, size)
        with torch.no_grad():
            shapes = [[out.shape for out in m(x)] for m in (model, control)]
        assert shapes[0] == shapes[1]


def other_numbers_of_channels_come_in(case):
    for channels in (1, 5):
        with torch.no_grad():
            case.build(in_channels=channels)(images(2, channels=channels))


def every_output_can_be_asked_for_alone(case):
    x = images(2)
    with torch.no_grad():
        together = case.build()(x)
        for i, index in enumerate(NETWORKS[case.name][1]['out_indices']):
            (alone,) = case.build(out_indices=(index,))(x)
            assert alone.shape == together[i].shape


def strided_input_gives_the_same(case):
    model, x = case.build(), images(2, (32, 48))
    with torch.no_grad():
        turned = x.transpose(2, 3).contiguous().transpose(2, 3)
        close(model(turned), model(x))
        wide = torch.cat([x, x], 3)[..., ::2]
        close(model(wide), model(wide.contiguous()))


def channels_last_gives_the_same_in_the_plain_networks_layout(case):
    model, x = case.build(), images()
    x_last = x.to(memory_format=torch.channels_last)
    found = []
    with torch.no_grad():
        expected = model(x)
        for network in (model, case.control.build()):
            network.to(memory_format=torch.channels_last)
            found.append(network(x_last))
    close(found[0], expected)
    strides = [[out.stride() for out in outputs] for outputs in found]
    assert strides[0] == strides[1]


def the_input_is_left_alone(case):
    for training in (True, False):
        model, x = case.build(training), images()
        before = x.clone()
        with torch.no_grad():
            model(x)
        assert torch.equal(x, before)


def what_was_returned_is_not_overwritten(case):
    model = case.build()
    with torch.no_grad():
        outputs = model(images())
        kept = [out.clone() for out in outputs]
        model(images(seed=1))
    for out, copied in zip(outputs, kept):
        assert torch.equal(out, copied)
    memory = {out.untyped_storage().data_ptr() for out in outputs}
    assert len(memory) == len(outputs)


def half_precision_stays_half_and_near(case):
    model, x = case.build(), images(2)
    with torch.no_grad():
        expected = model(x)
        for dtype in (torch.bfloat16, torch.float16):
            found = copy.deepcopy(model).to(dtype)(x.to(dtype))
            assert {out.dtype for out in found} == {dtype}
            close(found, expected, 0.2)


def autocast_gives_the_plain_networks_precisions(case):
    for training in (True, False):
        found = []
        for network in (case, case.control):
            model = network.build(training)
            with torch.autocast('cpu', torch.bfloat16):
                outputs = model(images(2))
            found.append([out.dtype for out in outputs])
        assert found[0] == found[1]


def copies_compute_the_same(case):
    model, x = case.build(), images(2)
    with torch.no_grad():
        expected = model(x)
        file = io.BytesIO()
        torch.save(model, file)
        file.seek(0)
        for other in (
            copy.deepcopy(model),
            pickle.loads(pickle.dumps(model)),
            torch.load(file, weights_only=False),
        ):
            for a, b in zip(other(x), expected):
                assert torch.equal(a, b)


def double_precision_agrees(case):
    model, x = case.build(), images(2)
    with torch.no_grad():
        close(model(x), copy.deepcopy(model).double()(x.double()), 1e-3)


def empty_batches_pass_in_training_and_change_nothing(case):
    """A process may get none, where images are sorted out."""
    model = case.build(training=True)
    before = {name: b.clone() for name, b in model.named_buffers()}
    outputs = model(images(0))
    assert [len(out) for out in outputs] == [0] * len(outputs)
    loss(outputs).backward()
    for name, buffer in model.named_buffers():
        if 'tracked' not in name:
            assert torch.equal(buffer, before[name]), name


def it_prints_itself(case):
    assert case.cls.__name__ in repr(case.build())


test_forward = contract(
    outputs_are_those_of_the_plain_network_in_shape,
    odd_sizes_give_the_plain_networks_shapes,
    other_numbers_of_channels_come_in,
    every_output_can_be_asked_for_alone,
    strided_input_gives_the_same,
    channels_last_gives_the_same_in_the_plain_networks_layout,
    the_input_is_left_alone,
    what_was_returned_is_not_overwritten,
    half_precision_stays_half_and_near,
    autocast_gives_the_plain_networks_precisions,
    copies_compute_the_same,
    double_precision_agrees,
    it_prints_itself,
    empty_batches_pass_in_training_and_change_nothing,
    plain_fails=[
        ('half_precision_stays_half_and_near', 'swin'),
        ('empty_batches_pass_in_training_and_change_nothing', 'swin'),
        # They have no such argument.
        *(
            ('other_numbers_of_channels_come_in', name)
            for name in ('mobilenet-v3', 'efficientnet', 'efficientnet-es')
        ),
    ],
)
