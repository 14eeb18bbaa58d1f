"""What is timed: one step on a batch of random images."""

from argparse import Namespace
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData, PixelData
from torch import nn

from .runtimes import EXPORTED, exported

DTYPES = dict(fp32=None, bf16=torch.bfloat16, fp16=torch.float16)


def draw(args: Namespace, batch: int, size: tuple[int, int]) -> Any:
    """Fresh random input: (N, 3, H, W), or what a config's model takes."""
    if args.config:
        return [_sample(size) for _ in range(batch)]
    x = torch.randn(batch, 3, *size, device=args.device)
    layout = torch.channels_last if args.channels_last else None
    return x.to(memory_format=layout) if layout else x


def _sample(size):
    """A random image with random labels, of the current scope's kind."""
    scope = DefaultScope.get_current_instance().scope_name
    meta = dict(
        img_shape=size, ori_shape=size, pad_shape=size, scale_factor=(1.0, 1.0)
    )
    if scope == 'mmdet':
        sample = _objects(size)
    elif scope == 'mmseg':
        from mmseg.structures import SegDataSample

        sample = SegDataSample()
        labels = torch.randint(2, (1, *size))
        sample.gt_sem_seg = PixelData(data=labels)
    else:
        from mmpretrain.structures import DataSample

        sample = DataSample().set_gt_label(0)
    sample.set_metainfo(meta)
    image = torch.randint(256, (3, *size), dtype=torch.uint8)
    return dict(inputs=image, data_samples=sample)


def _objects(size, count=8):
    """``count`` objects of the first class, with boxes and masks."""
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks

    height, width = size
    corners = torch.rand(count, 2) * torch.tensor([width, height]) / 2
    extents = (0.1 + 0.4 * torch.rand(count, 2)) * torch.tensor(
        [width, height]
    )
    boxes = torch.cat([corners, corners + extents], dim=1)
    masks = np.zeros((count, height, width), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist()):
        mask[y1:y2, x1:x2] = 1
    sample = DetDataSample()
    sample.gt_instances = InstanceData(
        bboxes=boxes,
        labels=torch.zeros(count, dtype=torch.long),
        masks=BitmapMasks(masks, height, width),
    )
    return sample


def step(model: nn.Module, args: Namespace, example: Any) -> Callable:
    """A function that runs ``model`` once on what :func:`draw` gives.

    Inference: the backbone's maps, or a whole model's predictions. Training:
    forward and backward pass and SGD's step, with a whole model's own losses.
    In half precision under autocast, float16 with scaled gradients.

    Args:
        example: What :func:`draw` gives; exported graphs take this size.
    """
    if args.runtime in EXPORTED:
        return exported(model, args.runtime, example)
    dtype, kind = DTYPES[args.dtype], torch.device(args.device).type
    torch.backends.cudnn.benchmark = True  # sizes do not change
    whole = hasattr(model, 'backbone')
    if hasattr(model, 'rpn_head'):
        fix_proposals(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9)
    scaler = torch.amp.GradScaler(kind) if dtype is torch.float16 else None
    called = (
        torch.compile(model, fullgraph=True, dynamic=False)
        if args.runtime == 'compile'
        else model
    )

    def autocast():
        return torch.autocast(kind, dtype) if dtype else nullcontext()

    def infer(x):
        with torch.inference_mode(), autocast():
            return model.test_step(collate(x)) if whole else called(x)

    def loss_of(x):
        if not whole:
            return sum(out.float().square().mean() for out in called(x))
        data = model.data_preprocessor(collate(x), training=True)
        return model.parse_losses(model(**data, mode='loss'))[0]

    def train(x):
        optimizer.zero_grad(set_to_none=True)
        with autocast():
            loss = loss_of(x)
        if scaler is None:
            loss.backward()
            optimizer.step()
        else:
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()

    return infer if args.mode == 'infer' else train


def fix_proposals(model: nn.Module, count: int = 512) -> None:
    """Let a two-stage detector's second stage see the same boxes always.

    With random weights every backbone makes other proposals, and suppressing
    and sampling them takes as long as these happen to need.
    """
    head: Any = model.rpn_head
    generator = torch.Generator().manual_seed(0)
    shares = torch.rand(count, 4, generator=generator)
    scores = torch.linspace(1, 0, count)

    def proposals(x, samples):
        found = []
        for sample in samples:
            height, width = sample.img_shape
            size = torch.tensor([width, height])
            corners = shares[:, :2] * size / 2
            boxes = torch.cat([corners, corners + shares[:, 2:] * size / 2], 1)
            found.append(
                InstanceData(
                    bboxes=boxes.to(x[0].device),
                    scores=scores.to(x[0].device),
                    labels=torch.zeros(count, dtype=torch.long).to(
                        x[0].device
                    ),
                )
            )
        return found

    def loss_and_predict(x, samples, proposal_cfg=None):
        return head.loss(x, samples), proposals(x, samples)

    def predict(x, samples, rescale=False):
        head(x)  # its convs are run all the same
        return proposals(x, samples)

    head.loss_and_predict, head.predict = loss_and_predict, predict


def collate(samples: list[dict]) -> dict:
    """A batch as the libraries' data loaders give it."""
    images = [sample['inputs'] for sample in samples]
    scope = DefaultScope.get_current_instance().scope_name
    return dict(
        inputs=torch.stack(images) if scope == 'mmpretrain' else images,
        data_samples=[sample['data_samples'] for sample in samples],
    )


def graphed(run: Callable, x: torch.Tensor) -> Callable:
    """``run`` as a CUDA graph that reads its input from ``x``."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            run(x)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run(x)

    def replay(fresh):
        x.copy_(fresh)
        graph.replay()

    return replay
