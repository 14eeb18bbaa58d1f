"""What was measured, as a table, a json file and a picture."""

import json
import math
import platform
import re
from io import BytesIO
from pathlib import Path

import torch

from ..utils.files import put_whole

# Okabe and Ito's colours, which colour-blind people can tell apart.
STYLES = {
    'plain': ('#000000', 'o'),
    'se': ('#E69F00', 's'),
    'eca': ('#F0E442', 'P'),
    'bav1': ('#009E73', '^'),
    'bav2': ('#0072B2', 'D'),
    'bav2-deploy': ('#D55E00', 'v'),
    'bav2-straight': ('#CC79A7', 'x'),
    'bav2-compiled': ('#56B4E9', '+'),
}


def machine(device: str) -> str:
    """Processor, threads and versions, in words."""
    if torch.device(device).type == 'cuda':
        return (
            f'{torch.cuda.get_device_name(device)}, torch {torch.__version__}'
        )
    cpu = platform.processor() or platform.machine()
    info = Path('/proc/cpuinfo')
    if info.exists():
        match = re.search(r'model name\s*: (.*)', info.read_text())
        cpu = match[1] if match else cpu
    threads = torch.get_num_threads()
    return f'{cpu}, {threads} threads, torch {torch.__version__}'


def table(results: dict) -> str:
    """The results as a markdown table."""
    base = _base(results)
    lines = [
        f'{results["machine"]}, {results["options"]["mode"]}, '
        f'{results["options"]["runtime"]}; peak: of eager PyTorch, beyond the '
        'weights; saved: activations that autograd keeps for the backward '
        'pass',
        '',
        f'| size | batch | model | ms | images/s | ratio to {base} '
        '(quartiles) | peak MiB | saved MiB | params | MACs |',
        '|' + ' --- |' * 10,
    ]
    for result in results['results']:
        height, width = result['size']
        for row in result['rows']:
            low, high = row['ratio_quartiles']
            lines.append(
                f'| {height}x{width} | {result["batch"]} | {row["model"]} | '
                f'{row["ms"]:.1f} | {row["images_per_s"]:.1f} | '
                f'{row["ratio"]:.3f} ({low:.3f} to {high:.3f}) | '
                f'{row["peak_mib"]:.0f} | {row["saved_mib"]:.0f} | '
                f'{row["params"]:,} | '
                f'{row["macs"] / 1e9:.2f} G |'
            )
    return '\n'.join(lines)


def _base(results):
    """What the others' times are divided by."""
    names = results['options']['models']
    return 'plain' if 'plain' in names else names[0]


def write_json(results: dict | list, path: str) -> None:
    """Write the results, whole or not at all."""
    put_whole((json.dumps(results, indent=1) + '\n').encode(), Path(path))


def plot(results: dict, path: str) -> None:
    """Draw time over batch size and over image size, a line per network."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    def group(key, label):
        """Series of the results that differ in nothing but ``key``."""
        by_rest = {}
        for result in results['results']:
            values = dict(batch=result['batch'], size=tuple(result['size']))
            rest = tuple(v for k, v in values.items() if k != key)
            by_rest.setdefault(rest, []).append((values[key], result))
        # Most points; among equals the larger batch or size.
        longest = max(by_rest.items(), key=lambda i: (len(i[1]), i[0]))
        return longest[0][0], sorted(longest[1], key=lambda p: p[0]), label

    panels = [
        group('batch', 'images in a batch'),
        group('size', 'image size, pixels'),
    ]
    panels = [panel for panel in panels if len(panel[1]) > 1]
    figure, axes = plt.subplots(
        2,
        len(panels),
        figsize=(5 * len(panels), 6.4),
        squeeze=False,
        height_ratios=(3, 2),
        sharex='col',
        layout='constrained',
    )
    for column, (fixed, points, label) in enumerate(panels):
        for name in results['options']['models']:
            colour, marker = STYLES.get(name, ('#808080', '.'))
            xs = [_place(x) for x, _ in points]
            rows = [
                next(r for r in result['rows'] if r['model'] == name)
                for _, result in points
            ]
            for axis, key in zip(axes[:, column], ('ms', 'ratio')):
                axis.plot(
                    xs,
                    [row[key] for row in rows],
                    color=colour,
                    marker=marker,
                    label=name,
                )
        top, bottom = axes[:, column]
        top.set(xscale='log', yscale='log', ylabel='time, ms')
        top.yaxis.set_major_formatter('{x:g}')
        top.yaxis.set_minor_formatter('{x:g}')
        top.set_title(
            f'{_label(fixed)} pixels'
            if 'batch' in label
            else f'batch of {fixed}'
        )
        bottom.set(ylabel=f'time / {_base(results)}', xlabel=label)
        bottom.set_xticks(xs, [_label(x) for x, _ in points])
        bottom.minorticks_off()
        for axis in (top, bottom):
            axis.grid(alpha=0.3)
    axes[0, 0].legend()
    figure.suptitle(f'{results["machine"]}', fontsize=9)
    with BytesIO() as buffer:
        figure.savefig(buffer, dpi=110)
        put_whole(buffer.getvalue(), path)
    plt.close(figure)


def _place(value):
    """On an axis: a batch, or the side of a square as large as the image."""
    return value if isinstance(value, int) else math.sqrt(math.prod(value))


def _label(value):
    if isinstance(value, int):
        return str(value)
    height, width = value
    return f'{height}x{width}'
