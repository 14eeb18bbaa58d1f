"""Seconds and memory of a step, and the size of what runs it."""

import ctypes
import gc
import multiprocessing
import random
import re
import time
from argparse import Namespace
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from statistics import median, quantiles

import torch

from .complexity import Counted, macs_by_module, parameters
from .networks import BenchmarkError, build
from .report import machine
from .runtimes import EXPORTED
from .work import draw, graphed, step

STRIDE = 32
TOLERANCE = 1e-3  # relative; what is measured here is no arithmetic
BUSY_ROUNDS = 3  # of warm-up


def check(args: Namespace) -> list[tuple[int, int]]:
    """Check the options; return the sizes as (height, width).

    Raises:
        BenchmarkError: A device that is not there, a batch below 1, an image
            below the stride, a combination that does not exist.
    """
    try:
        device = torch.device(args.device)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise BenchmarkError(
            f'--device {args.device} is not there: '
            f'{str(error).splitlines()[0]} Use cpu, or a GPU that nvidia-smi '
            'lists.'
        ) from error
    if min(args.batch) < 1 or args.repeats < 1:
        raise BenchmarkError(
            f'--batch {min(args.batch)} and --repeats {args.repeats} must be '
            '1 or more.'
        )
    if args.threads is not None and args.threads < 1:
        raise BenchmarkError(f'--threads {args.threads} must be 1 or more.')
    if args.config and (args.depth or args.norm_eval):
        raise BenchmarkError(
            '--depth and --norm-eval are for backbones: with --config they '
            'are those of the config.'
        )
    if args.dtype == 'fp16' and not hasattr(torch.amp, 'GradScaler'):
        raise BenchmarkError(
            f'--dtype fp16 needs torch 2.3 or later, not {torch.__version__}: '
            'take bf16.'
        )
    if args.mode == 'train' and 'bav2-deploy' in args.models:
        raise BenchmarkError(
            'bav2-deploy is for inference: leave it out with --models.'
        )
    if args.cuda_graph and device.type != 'cuda':
        raise BenchmarkError('--cuda-graph needs --device cuda.')
    if args.config and (args.runtime != 'eager' or args.cuda_graph):
        raise BenchmarkError(
            '--runtime and --cuda-graph are for backbones: heads and losses '
            'depend on what they find. Leave --config out.'
        )
    if args.runtime in EXPORTED and (
        args.mode == 'train' or device.type != 'cpu' or args.dtype != 'fp32'
    ):
        raise BenchmarkError(
            f'--runtime {args.runtime} is for --mode infer, --device cpu and '
            '--dtype fp32.'
        )
    if args.plot and len(args.batch) == len(args.size) == 1:
        raise BenchmarkError(
            '--plot needs several --batch or --size to draw a line.'
        )
    if args.plot and not args.plot.endswith('.png'):
        raise BenchmarkError(f'--plot {args.plot} must end in .png.')
    return [_size(text) for text in args.size]


def _size(text):
    match = re.fullmatch(r'(\d+)(?:x(\d+))?', text)
    if not match:
        raise BenchmarkError(f'--size {text}: write 224 or 800x1344.')
    height, width = int(match[1]), int(match[2] or match[1])
    if min(height, width) < STRIDE:
        raise BenchmarkError(
            f'--size {text} is smaller than the stride of the network, '
            f'{STRIDE}: nothing would be left of the image.'
        )
    return height, width


def run(args: Namespace) -> dict:
    """Time all batches and sizes that the options of the tool ask for.

    Returns:
        dict: ``machine``, ``options`` and ``results``, one per batch and size.

    Raises:
        BenchmarkError: See :func:`check`.
    """
    sizes = check(args)
    if args.threads:
        torch.set_num_threads(args.threads)
    return dict(
        machine=machine(args.device),
        options={
            k: v for k, v in vars(args).items() if k not in ('out', 'plot')
        },
        results=[
            time_networks(args, batch, size)
            for size in sizes
            for batch in args.batch
        ],
    )


def time_networks(args: Namespace, batch: int, size: tuple[int, int]) -> dict:
    """Median seconds of every network on ``batch`` images of ``size``.

    Every round runs each network once, in turn, on the same fresh images; a
    network's ratio is the median over the rounds of its time over plain's,
    or over the first one's where plain was left out.
    """
    torch.compiler.reset()  # graphs of another size count as recompilations
    models = {name: build(name, args) for name in args.models}
    _agree(models, args, draw(args, batch, size))
    steps = {}
    for name, model in models.items():
        steps[name] = step(model, args, draw(args, batch, size))
        for _ in range(BUSY_ROUNDS):
            steps[name](draw(args, batch, size))
        if args.cuda_graph:
            steps[name] = graphed(steps[name], draw(args, batch, size))
    times: dict[str, list[float]] = {name: [] for name in steps}
    order = list(steps)
    for i in range(args.repeats):
        x = draw(args, batch, size)
        # Shuffled: none always follows the same one.
        for name in random.Random(i).sample(order, len(order)):
            _synchronize(args.device)
            start = time.perf_counter()
            steps[name](x)
            _synchronize(args.device)
            times[name].append(time.perf_counter() - start)
    base = times.get('plain', times[order[0]])
    rows = []
    for name, seconds in times.items():
        ratios = [a / b for a, b in zip(seconds, base)]
        low, _, high = quantiles(ratios * 2, n=4, method='inclusive')
        rows.append(
            dict(
                model=name,
                ms=1e3 * median(seconds),
                images_per_s=batch / median(seconds),
                ratio=median(ratios),
                ratio_quartiles=[low, high],
                peak_mib=_peak_memory(name, args, batch, size),
                saved_mib=saved_activations(models[name], args, batch, size),
                params=parameters(models[name]),
                macs=_macs(models[name], size),
            )
        )
    return dict(batch=batch, size=list(size), rows=rows)


def _agree(models, args, x):
    """All forms of BAv2 must compute the same before they are timed.

    Looked at in eval mode, eager, in full precision, at the last map.
    """
    forms = [n for n in models if n.startswith('bav2')]
    if len(forms) < 2:
        return
    if args.config:
        x = torch.stack([sample['inputs'] for sample in x]).float()
        x = x.to(args.device)
    with torch.inference_mode():
        outs = {
            n: getattr(models[n].eval(), 'backbone', models[n])(x)[-1].double()
            for n in forms
        }
    for name in forms:
        models[name].train(args.mode == 'train')
    expected = outs[forms[0]]
    for name, out in outs.items():
        error = ((out - expected).norm() / expected.norm()).item()
        if not error < TOLERANCE:
            raise BenchmarkError(
                f'{forms[0]} and {name} differ by {error:.1e}: this is a bug, '
                'nothing was timed.'
            )


def saved_activations(
    model: torch.nn.Module, args: Namespace, batch: int, size: tuple[int, int]
) -> float:
    """MiB that autograd keeps of one eager training step, on its device.

    Each memory counts once, those of parameters and images not at all, but
    their copies in half precision do, which autocast makes; 0 for inference.
    """
    if args.mode == 'infer':
        return 0.0
    kept: dict[int, int] = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    x = draw(args, batch, size)
    eager = Namespace(**dict(vars(args), runtime='eager'))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        step(model, eager, x)(x)
    own = [*model.parameters(), *model.buffers()]
    own += [x] if isinstance(x, torch.Tensor) else []
    for tensor in own:
        kept.pop(tensor.untyped_storage().data_ptr(), None)
    return sum(kept.values()) / 2**20


def _synchronize(device):
    if torch.device(device).type == 'cuda':
        torch.cuda.synchronize(device)


def _macs(model, size):
    """Of one image, see :class:`banet.benchmark.complexity.Counted`."""
    training = model.training
    x = torch.zeros(1, 3, *size, device=next(model.parameters()).device)
    macs = macs_by_module(Counted(model).eval(), x)['']
    model.train(training)
    return macs


def _peak_memory(name, args, batch, size):
    """MiB that two eager steps take at their peak, beyond the weights.

    On the CPU of a fresh process, which has no allocator to ask: forked
    where nothing has been calculated yet.
    """
    if not Path('/proc/self/clear_refs').exists():  # not Linux
        return float('nan')
    options = dict(vars(args), runtime='eager')
    if torch.device(args.device).type == 'cuda':
        return _measure_peak(name, options, batch, size)
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(1, context) as pool:
        try:
            return pool.submit(
                _measure_peak, name, options, batch, size
            ).result()
        except BrokenProcessPool as error:
            raise BenchmarkError(
                f'{name} at batch {batch}: the process that measures its '
                'memory was killed, probably for want of it.'
            ) from error


def _measure_peak(name, options, batch, size):
    args = Namespace(**options)
    if args.threads:
        torch.set_num_threads(args.threads)
    model = build(name, args)  # before drawing: it says whose data it takes
    x = draw(args, batch, tuple(size))
    work = step(model, args, x)
    on_gpu = torch.device(args.device).type == 'cuda'
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(args.device)
        before = torch.cuda.memory_allocated(args.device)
    else:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)  # what building left to the heap
        Path('/proc/self/clear_refs').write_text('5')  # forget the peak
        before = _resident('VmRSS')
    work(x)
    work(x)
    if on_gpu:
        peak = torch.cuda.max_memory_allocated(args.device)
        return (peak - before) / 2**20
    return _resident('VmHWM') - before


def _resident(field):
    """MiB of the process: VmRSS now, VmHWM at its peak."""
    status = Path('/proc/self/status').read_text()
    return int(re.search(rf'{field}:\s+(\d+) kB', status)[1]) / 1024
