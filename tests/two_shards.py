"""Two processes that shard a network over themselves, see test_distributed.

Each prints the largest difference of the outputs to those of the network that
one process read for both.
"""

import copy
import json

import torch
import torch.distributed as dist
from contract import Case, ECA, images, LN
from torch.distributed.checkpoint import state_dict as state_dicts
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard


def difference(own):
    """Of a sharded network to the whole one whose weights it got."""
    whole = Case('resnet18', own).build()
    with torch.no_grad():
        for parameter in whole.parameters():
            parameter += 0.1  # it was trained
    weights = copy.deepcopy(whole.state_dict())
    mesh = init_device_mesh('cpu', (2,))
    model = fully_shard(Case('resnet18', own).build(), mesh=mesh)
    options = state_dicts.StateDictOptions(
        full_state_dict=True, broadcast_from_rank0=True, strict=False
    )
    given = weights if dist.get_rank() == 0 else {}
    state_dicts.set_model_state_dict(model, given, options=options)
    with torch.no_grad():
        return max(
            (a - b).abs().max().item()
            for a, b in zip(model(images(2)), whole(images(2)))
        )


if __name__ == '__main__':
    dist.init_process_group('gloo')
    print(json.dumps([difference(ECA), difference(LN)]), flush=True)
    dist.destroy_process_group()
