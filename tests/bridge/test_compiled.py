"""`compile_blocks`: the same network, its blocks compiled in place."""

import copy
import os
import pickle
import subprocess
import sys

import pytest
import torch
from contract import Case, close, NETWORKS, same_gradients, TWO
from inputs import needs_new_torch
from resnets import images, small
from torch._dynamo.testing import (
    CompileCounter,
    CompileCounterWithBackend,
)

from banet import BAResNet

pytestmark = pytest.mark.slow  # compilers
# Dynamo's and autograd's graphs, without C++.
FAST = dict(backend='aot_eager')


def pair(options=FAST, dtype=torch.float64, **arguments):
    """A network, and the same with compiled blocks."""
    torch.compiler.reset()
    arguments = {**TWO, **arguments}  # three kinds of blocks
    eager = small(**arguments).to(dtype).train()
    compiled = small(compile_blocks=options, **arguments).to(dtype).train()
    compiled.load_state_dict(eager.state_dict())
    return eager, compiled


def step(model, x, autocast=False):
    """Outputs, gradients and buffers of a training step."""
    model.zero_grad()
    torch.manual_seed(3)  # of stochastic depth
    with torch.autocast('cpu', torch.bfloat16, enabled=autocast):
        outs = model(x)
    sum(out.square().mean() for out in outs).backward()
    grads = {
        name: parameter.grad
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    return outs, grads, dict(model.named_buffers())


@pytest.mark.parametrize(
    'arguments',
    [
        {},
        dict(depth=50),
        dict(norm_eval=True),
        dict(frozen_stages=1),
        pytest.param(dict(with_cp=True), marks=needs_new_torch),
        pytest.param(dict(drop_path_rate=0.3), marks=needs_new_torch),
        dict(attention=None),
    ],
    ids=str,
)
def test_a_training_step_is_that_of_the_eager_network(arguments):
    counter = CompileCounterWithBackend('aot_eager')
    eager, compiled = pair(dict(backend=counter), **arguments)
    x = images(torch.float64)
    expected, found = (step(model, x) for model in (eager, compiled))
    close(found[0], expected[0], 1e-10)
    same_gradients(found[1], expected[1], 1e-8)
    close(found[2].values(), expected[2].values(), 1e-10)
    assert counter.frame_count > 0


def test_autocast_stays_as_near_as_the_eager_network():
    eager, compiled = pair(dtype=torch.float32)
    x = images()
    exact = step(copy.deepcopy(eager), x)[0]
    errors = []
    for model in (eager, compiled):
        outs = step(model, x, autocast=True)[0]
        errors.append((outs[0].float() - exact[0]).norm())
    assert 0 < errors[1] < 1.5 * errors[0]


def test_twenty_sizes_take_three_graphs_per_kind_of_block():
    """As detection's images come; blocks of one kind share theirs."""
    counter = CompileCounter()
    model = pair(dict(backend=counter), torch.float32, depth=50)[1]
    stages = [getattr(model, name) for name in model.res_layers]
    for index in range(20):
        size = 64 + 32 * (index % 5), 96 + 32 * (index // 5)
        model(torch.rand(2, 3, *size))
    kinds = sum(min(2, len(stage)) for stage in stages)
    assert 0 < counter.frame_count <= 3 * kinds


def test_names_copies_and_files_know_nothing_of_it():
    eager, compiled = pair(dict(backend='eager'), torch.float32)
    assert compiled.state_dict().keys() == eager.state_dict().keys()
    step(compiled, images())
    copied = pickle.loads(pickle.dumps(copy.deepcopy(compiled)))
    close(step(copied, images())[0], step(compiled, images())[0])


def test_hooks_within_a_block_are_called():
    """Also those that come after the block was compiled."""
    compiled = pair(dict(backend='eager'), torch.float32)[1]
    step(compiled, images())
    seen = []
    block = compiled.layer2[1]
    for layer in (block.conv1, block.attention):
        layer.register_forward_hook(lambda *args: seen.append(1))
    step(compiled, images())
    assert len(seen) == 2


@needs_new_torch
def test_deploy_form_and_export_see_the_eager_form():
    counter = CompileCounter()
    model = pair(dict(backend=counter), torch.float32)[1].eval()
    with torch.no_grad():
        expected = model(images())
        before = counter.frame_count
        program = torch.export.export(model, (images(),))
        close(program.module()(images()), expected)
        model.switch_to_deploy()
        close(model(images()), expected)
    assert counter.frame_count == before > 0


@pytest.mark.parametrize('name', ['mobilenet-v3', 'efficientnet', 'convnext'])
def test_other_families_compile_their_blocks(name):
    torch.compiler.reset()
    counter, own = CompileCounter(), NETWORKS[name][2][0]
    options = dict(own, compile_blocks=dict(backend=counter))
    with torch.no_grad():
        x = images()
        found = Case(name, options).build()(x)
        close(found, Case(name, own).build()(x))
    assert counter.frame_count > 0


@pytest.mark.parametrize(
    'wanted,error,says',
    [
        ('inductor', TypeError, "'inductor' is neither a bool nor a dict"),
        (dict(backend='nvcc'), ValueError, "no backend 'nvcc'"),
        (dict(speed='high'), TypeError, 'speed, which torch.compile'),
        (dict(model=None), TypeError, 'model, which torch.compile'),
    ],
)
def test_what_cannot_compile_is_said_when_it_is_built(wanted, error, says):
    with pytest.raises(error, match=f'compile_blocks.*{says}'):
        BAResNet(18, compile_blocks=wanted)


def test_without_a_compiler_one_line_says_so(tmp_path):
    code = (
        'import torch; from banet import BAResNet; '
        'BAResNet(18, compile_blocks=True)(torch.rand(2, 3, 64, 64))'
    )
    result = subprocess.run(
        [sys.executable, '-c', code],
        env=dict(
            os.environ,
            CXX='/no/such/compiler',
            TORCHINDUCTOR_CACHE_DIR=str(tmp_path),
        ),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    line = result.stderr.strip().splitlines()[-1]
    assert line.startswith('RuntimeError: compile_blocks: nothing can be')
    assert 'set it to False' in line
