"""Where the runs of a comparison are trained."""

import os
from typing import Optional

import torch
from mmengine.device import get_device

from .folder import TrainingError


def default_threads(jobs: int) -> int:
    """Threads of each of so many runs at a time."""
    return max(1, (os.cpu_count() or 1) // jobs)


def check_device(device: Optional[str]) -> str:
    """``device``, or what upstream's runner takes.

    Raises:
        TrainingError: There is no such device, or the runner takes another.
    """
    there = torch.cuda.device_count()
    taken = 'cuda' if there else get_device()
    if device is None:
        return taken
    kind, _, number = device.partition(':')
    if kind == 'cuda' and (not number or number.isdigit()):
        if int(number or 0) >= there:
            raise TrainingError(
                f'--device {device}: {there} GPUs are visible.'
            )
    elif kind == 'cpu' and not number:
        if taken not in ('cpu', 'cuda'):  # which alone can be hidden
            raise TrainingError(
                f'--device cpu: mmengine trains on {taken} where there is '
                f'one. Use --device {taken}.'
            )
    elif device != taken:
        raise TrainingError(f'--device {device}: use cpu, cuda or cuda:0.')
    return device


def environment(device: str, threads: int) -> dict[str, str]:
    """Of a process that trains there."""
    variables = {**os.environ, 'OMP_NUM_THREADS': str(threads)}
    kind, _, number = device.partition(':')
    if kind == 'cpu':
        variables['CUDA_VISIBLE_DEVICES'] = ''
    elif number:
        visible = os.environ.get('CUDA_VISIBLE_DEVICES')
        variables['CUDA_VISIBLE_DEVICES'] = (
            visible.split(',')[int(number)] if visible else number
        )
    return variables


def device_name(device: str) -> str:
    """As rows have it: the kind, and a GPU's model behind it."""
    kind, _, number = device.partition(':')
    if kind != 'cuda':
        return kind
    return f'{kind} {torch.cuda.get_device_name(int(number or 0))}'
