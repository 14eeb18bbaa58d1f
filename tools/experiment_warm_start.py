"""Does the warm start pay? Plain ResNet-18, BAv2 warm-started, BAv2 random.

    python tools/experiment_warm_start.py --data FOLDER [--work-dir DIR]

FOLDER holds tiny_imagenet60 and camvid11, unpacked. A plain ResNet-18 is
trained on the first; from its weights start the detector of the embedded
nuclei and a segmentor of CamVid, three ways, three seeds each. Runs that are
finished are not repeated. The table goes to DIR/table.md and the screen.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean, stdev

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / 'configs' / 'experiments' / 'warm_start'
SEEDS = (0, 1, 2)
BACKBONE = 'model.backbone'
# folder -> (its name, options)
STARTS = {
    'plain': ('plain ResNet-18', [f'{BACKBONE}.attention=None']),
    'warm': ('BAv2, warm start', []),
    'random': ('BAv2, random gates', [f'{BACKBONE}.warm_start=False']),
}
# config -> {metric as logged: (its name, factor)}
TASKS = {
    'mask-rcnn_ba-r18_fpn_nuclei': {
        'coco/bbox_mAP': ('nuclei box AP, %', 100),
        'coco/segm_mAP': ('nuclei mask AP, %', 100),
    },
    'upernet_ba-r18_camvid': {'mIoU': ('CamVid mIoU, %', 1)},
}


def train(config, work_dir, options):
    """Train unless it is done; return the last logged metrics."""
    result = work_dir / 'result.json'
    if not result.exists():
        command = [sys.executable, 'tools/train.py', CONFIGS / f'{config}.py']
        command += ['--work-dir', work_dir, '--cfg-options', *options]
        work_dir.mkdir(parents=True, exist_ok=True)
        with open(work_dir / 'out.log', 'w') as log:
            run = subprocess.run(command, cwd=ROOT, stdout=log, stderr=log)
        if run.returncode:
            sys.exit(f'{work_dir} failed, see {log.name}')
        logs = max(work_dir.glob('*/vis_data/scalars.json'))
        result.write_text(logs.read_text().splitlines()[-1])
    metrics = json.loads(result.read_text())
    print(work_dir, metrics, flush=True)
    return metrics


def table(results):
    """Markdown: a row per start, mean and deviation over the seeds."""
    columns = [
        (task, key, *named)
        for task, metrics in TASKS.items()
        for key, named in metrics.items()
    ]
    lines = [
        '| start | ' + ' | '.join(c[2] for c in columns) + ' |',
        '| --- |' + ' --- |' * len(columns),
    ]
    for start, (label, _) in STARTS.items():
        cells = []
        for task, key, _, factor in columns:
            values = [
                factor * results[task, start, seed][key] for seed in SEEDS
            ]
            cells.append(f'{mean(values):.1f} ± {stdev(values):.1f}')
        lines.append(f'| {label} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'


def main(args):
    data = args.data.resolve()
    work_dir = args.work_dir.resolve()
    for name in ('tiny_imagenet60', 'camvid11'):
        if not (data / name).is_dir():
            sys.exit(f'--data {data} holds no folder {name}: unpack it there.')
    # Torch's threads would fight over the cores with the other runs'.
    jobs = args.jobs
    os.environ['OMP_NUM_THREADS'] = str(max(1, os.cpu_count() // jobs))

    def root(name, *splits):
        return [
            f'{split}_dataloader.dataset.data_root={data}/{name}'
            for split in splits
        ]

    splits = 'train', 'val', 'test'
    source = 'resnet18_tiny-imagenet60'
    train(source, work_dir / source, root('tiny_imagenet60', *splits))
    checkpoint = (work_dir / source / 'last_checkpoint').read_text()
    runs = {
        (task, start, seed): [
            f'{BACKBONE}.init_cfg.checkpoint={checkpoint}',
            f'randomness.seed={seed}',
            *options,
            *(root('camvid11', *splits) if 'camvid' in task else ()),
        ]
        for seed in SEEDS
        for task in TASKS
        for start, (_, options) in STARTS.items()
    }
    with ThreadPoolExecutor(jobs) as pool:
        futures = {
            key: pool.submit(
                train,
                key[0],
                work_dir / key[0] / f'{key[1]}-{key[2]}',
                options,
            )
            for key, options in runs.items()
        }
    text = table({key: future.result() for key, future in futures.items()})
    (work_dir / 'table.md').write_text(text)
    print(text)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--data', type=Path, required=True)
    parser.add_argument(
        '--work-dir', type=Path, default=ROOT / 'work_dirs' / 'warm_start'
    )
    parser.add_argument('--jobs', type=int, default=2, help='runs at a time')
    main(parser.parse_args())
