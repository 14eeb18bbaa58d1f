"""What each of two processes does in test_distributed.py (by torchrun).

Prints one json line per task, in the first process.
"""

import copy
import json
import sys

import torch
import torch.distributed as dist
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, init_default_scope, MODELS
from mmengine.runner import set_random_seed
from runs import short_run
from torch.nn.parallel import DistributedDataParallel

PER_PROCESS = 2  # images


def load(scope, digits):
    """A demo's model in float64 and four of its images, preprocessed."""
    path, (_, *options) = short_run(scope, digits, 1)
    cfg = Config.fromfile(path)
    parse = DictAction._parse_iterable
    cfg.merge_from_dict(
        {k: parse(v) for k, v in (option.split('=', 1) for option in options)}
    )
    init_default_scope(scope)
    set_random_seed(0)  # both draw the same crops and flips
    model = MODELS.build(cfg.model).double()
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    samples = [dataset[i] for i in range(2 * PER_PROCESS)]
    return model, samples


def batch(model, samples):
    data = model.data_preprocessor(pseudo_collate(samples), True)
    dtype = next(model.parameters()).dtype
    return {**data, 'inputs': data['inputs'].to(dtype)}


class Loss(torch.nn.Module):
    """The training loss as a module's forward, as DDP wants it."""

    def __init__(self, model, linear):
        super().__init__()
        self.model, self.linear = model, linear

    def forward(self, data):
        if self.linear:
            # A detector's own loss is no mean over images: its samplers
            # draw, and it divides by what they drew.
            outs = self.model.neck(self.model.backbone(data['inputs']))
            return sum((out * out.detach().sign()).mean() for out in outs)
        losses = self.model(**data, mode='loss')
        return self.model.parse_losses(losses)[0]


def gradients(module):
    return {
        name: p.grad.clone()
        for name, p in module.named_parameters()
        if p.grad is not None
    }


def compare(model, samples, scope, rank):
    """Largest difference of averaged and joined gradients, over their size."""
    linear = scope == 'mmdet'
    for name in ('rpn_head', 'roi_head') if linear else ():
        getattr(model, name).requires_grad_(False)
    model.eval()  # the norms: their batch is the process's own otherwise
    joined = Loss(copy.deepcopy(model), linear)
    joined(batch(model, samples)).backward()
    ours = samples[rank * PER_PROCESS :][:PER_PROCESS]
    # Named, for DDP averages only as long as it lives.
    parallel = DistributedDataParallel(Loss(copy.deepcopy(model), linear))
    parallel(batch(model, ours)).backward()
    expected, found = gradients(joined), gradients(parallel.module)
    assert expected.keys() == found.keys()
    return max(
        (
            (expected[k] - found[k]).norm() / expected[k].norm().clamp(1e-8)
        ).item()
        for k in expected
    )


def train(model, samples, rank):
    """Three steps; DDP raises at the second if a parameter was left out."""
    model.float().train()  # mmcv's NMS knows no float64
    parallel = DistributedDataParallel(Loss(model, False))
    optimizer = torch.optim.SGD(parallel.parameters(), lr=1e-3)
    ours = samples[rank * PER_PROCESS :][:PER_PROCESS]
    for _ in range(3):
        optimizer.zero_grad()
        parallel(batch(model, copy.deepcopy(ours))).backward()
        optimizer.step()
    # The same weights in both: the sums over the two are twice their own.
    total = sum(p.detach().sum() for p in model.parameters())
    both = total.clone()
    dist.all_reduce(both)
    return (both - 2 * total).abs().item()


def main(digits):
    dist.init_process_group('gloo')
    rank = dist.get_rank()
    for scope in ('mmpretrain', 'mmseg', 'mmdet'):
        model, samples = load(scope, digits)
        result = dict(
            scope=scope,
            gradients=compare(copy.deepcopy(model), samples, scope, rank),
            apart=train(model, samples, rank),
        )
        if rank == 0:
            print(json.dumps(result), flush=True)
    dist.destroy_process_group()


if __name__ == '__main__':
    main(sys.argv[1])
