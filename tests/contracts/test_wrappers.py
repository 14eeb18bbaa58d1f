"""torch's wrappers: DDP, FSDP2, distributed checkpoints, LoRA, all on gloo."""

import copy

import pytest
import torch
import torch.distributed as dist
from contract import (
    Case,
    COMPILED,
    ECA,
    gradients,
    images,
    LN,
    NETWORKS,
    same_gradients,
    V2,
)
from mmengine.model import ExponentialMovingAverage
from mmengine.runner.checkpoint import load_checkpoint, load_state_dict
from mmpretrain.models.peft import LoRAModel
from torch.nn.parallel import DistributedDataParallel

from banet import BridgeMixin

pytestmark = pytest.mark.slow
state_dicts, device_mesh = (
    pytest.importorskip(f'torch.distributed.{name}', reason='needs torch 2.2')
    for name in ('checkpoint.state_dict', 'device_mesh')
)
WHOLE = state_dicts.StateDictOptions(full_state_dict=True, strict=False)
OWN = [(name, NETWORKS[name][2][0]) for name in NETWORKS]
# Blocks that are compiled, by a compiler that needs no machine code.
OWN += [('resnet18', COMPILED), ('resnext50', COMPILED)]


@pytest.fixture(scope='module')
def mesh():
    """One process of gloo: what wrappers do to modules needs no second."""
    dist.init_process_group(
        'gloo', store=dist.HashStore(), rank=0, world_size=1
    )
    yield device_mesh.init_device_mesh('cpu', (1,))
    dist.destroy_process_group()


@pytest.mark.parametrize('name,own', OWN)
def test_ddp_with_a_static_graph(name, own, mesh):
    model = Case(name, own).build(training=True)
    expected = gradients(copy.deepcopy(model), images())
    if len(expected) < len(list(model.parameters())):
        pytest.skip('some outputs are not asked for: DDP wants all gradients')
    wrapped = DistributedDataParallel(model, static_graph=True)
    same_gradients(gradients(model, images(), wrapped), expected)


def test_twin_is_known_behind_a_wrapper_too(mesh, tmp_path):
    """As mmengine's loader, which looks into it."""
    model = torch.nn.ModuleDict(
        {
            name: torch.nn.ModuleDict(dict(backbone=Case('resnet18').build()))
            for name in ('student', 'teacher')
        }
    )
    state = Case('resnet18').build().state_dict()
    state = {f'teacher.backbone.{n}': v + 1 for n, v in state.items()}
    torch.save(dict(state_dict=state), tmp_path / 'x.pth')
    load_checkpoint(DistributedDataParallel(model), str(tmp_path / 'x.pth'))
    for name, tensor in state.items():
        assert torch.equal(model.state_dict()[name], tensor), name


def sharded(model, mesh, per_block):
    fsdp = pytest.importorskip(
        'torch.distributed.fsdp', reason='FSDP2 came with torch 2.6'
    )
    if not hasattr(fsdp, 'fully_shard'):
        pytest.skip('FSDP2 came with torch 2.6')
    for block in model.modules() if per_block else ():
        if isinstance(block, BridgeMixin):
            fsdp.fully_shard(block, mesh=mesh)
    return fsdp.fully_shard(model, mesh=mesh)


@pytest.mark.parametrize('per_block', [False, True])
@pytest.mark.parametrize('name,own', OWN)
def test_sharded_parameters_have_the_same_gradients(
    name, own, per_block, mesh
):
    model = Case(name, own).build(training=True)
    expected = gradients(copy.deepcopy(model), images())
    found = gradients(sharded(model, mesh, per_block), images())
    same_gradients({n: g.full_tensor() for n, g in found.items()}, expected)


@pytest.mark.parametrize('per_block', [False, True])
def test_distributed_checkpoints_come_back(per_block, mesh):
    weights = Case('resnet18', V2).build().state_dict()
    model = sharded(Case('resnet18', V2).build(), mesh, per_block)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    state_dicts.set_model_state_dict(model, copy.copy(weights), options=WHOLE)
    found = state_dicts.get_model_state_dict(model, options=WHOLE)
    for name, tensor in weights.items():
        assert torch.equal(found[name], tensor), name


@pytest.mark.parametrize('per_block', [False, True])
def test_plain_weights_of_a_distributed_checkpoint_warm_start(per_block, mesh):
    """It fills in what the file lacks: that is no attention which came in."""
    plain = Case('resnet18').build()
    model = sharded(Case('resnet18', V2).build(), mesh, per_block)
    state_dicts.set_model_state_dict(model, plain.state_dict(), options=WHOLE)
    with torch.no_grad():
        for a, b in zip(model(images(2)), plain(images(2))):
            assert torch.equal(a, b)


@pytest.mark.parametrize('attention', [V2, LN, ECA])
def test_weights_that_one_process_reads_for_all_come_in(attention, mesh):
    """torch copies them into the network's own tensors."""
    whole = Case('resnet18', attention).build()
    with torch.no_grad():
        for parameter in whole.parameters():
            parameter += 0.1  # it was trained
    weights = copy.deepcopy(whole.state_dict())
    model = sharded(Case('resnet18', attention).build(), mesh, False)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    broadcast = state_dicts.StateDictOptions(
        full_state_dict=True, broadcast_from_rank0=True
    )
    state_dicts.set_model_state_dict(model, weights, options=broadcast)
    with torch.no_grad():
        for a, b in zip(model(images(2)), whole(images(2))):
            assert torch.equal(a, b)


def test_average_of_compiled_blocks_follows_them():
    """EMAHook's average: a copy, whose names are the model's."""
    model = Case('resnet18', COMPILED).build(training=True)
    average = ExponentialMovingAverage(model, momentum=0.5)
    before = {n: p.clone() for n, p in model.named_parameters()}
    gradients(model, images())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01)
    average.update_parameters(model)  # the first one copies
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01)
    average.update_parameters(model)
    for name, parameter in average.module.named_parameters():
        torch.testing.assert_close(parameter, before[name] + 0.015)
    assert all(out.isfinite().all() for out in average(images()))


@pytest.mark.parametrize('own', NETWORKS['swin'][2])
@pytest.mark.parametrize('load', ['torch', 'mmengine'])
def test_lora_reads_its_own_checkpoint(own, load):
    """It holds what is trained alone; the rest has other names inside."""
    torch.manual_seed(0)
    models = [
        LoRAModel(
            module=dict(
                type='BASwinTransformer', **{**NETWORKS['swin'][1], **own}
            ),
            alpha=1,
            rank=4,
            drop_rate=0.1,
            targets=[dict(type='qkv')],
        )
        for _ in range(2)
    ]
    with torch.no_grad():
        for parameter in models[0].parameters():
            if parameter.requires_grad:
                parameter.normal_()
    weights = models[0].state_dict()
    assert weights and all('.lora_' in name for name in weights)
    if load == 'torch':
        models[1].load_state_dict(weights)
    else:
        load_state_dict(models[1], weights, strict=True)
    for name, tensor in weights.items():
        assert torch.equal(models[1].state_dict()[name], tensor), name
