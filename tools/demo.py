"""Train, test and draw one of the demo configs (make demo TASK=det|seg|cls).

Writes everything below work_dirs/demo-TASK, the pictures into its folder
pictures: truth on the left and prediction on the right, or both written on
the image for classification.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# task -> config in configs/demo, {metric as logged: its name}
TASKS = dict(
    det=(
        'mask-rcnn_ba-r18_fpn_nuclei.py',
        {
            'coco/bbox_mAP': 'box AP',
            'coco/bbox_mAP_50': 'box AP50',
            'coco/segm_mAP': 'mask AP',
            'coco/segm_mAP_50': 'mask AP50',
        },
    ),
    seg=(
        'upernet_ba-r18_nuclei.py',
        {'mIoU': 'mIoU, %', 'aAcc': 'pixel accuracy, %'},
    ),
    cls=('ba-resnet18_digits.py', {'accuracy/top1': 'top-1, %'}),
)


def run(tool, *args):
    """Run a tool of this folder at the repository's root; stop if it fails."""
    command = [sys.executable, f'tools/{tool}', *map(str, args)]
    print('$ python', *command[1:], flush=True)
    code = subprocess.run(command, cwd=ROOT).returncode
    if code:
        sys.exit(f'tools/demo.py: tools/{tool} failed (exit code {code})')


def main(task):
    if task not in TASKS:
        sys.exit(f'TASK={task} is unknown; use one of {", ".join(TASKS)}')
    config, metrics = TASKS[task]
    config = f'configs/demo/{config}'
    work_dir = ROOT / 'work_dirs' / f'demo-{task}'
    pictures = work_dir / 'pictures'
    if task == 'cls':
        run('prepare_digits.py')
    run('train.py', config, '--work-dir', work_dir)
    shutil.rmtree(pictures, ignore_errors=True)  # of an earlier run
    checkpoint = (work_dir / 'last_checkpoint').read_text()
    test = ['test.py', config, checkpoint, '--work-dir', work_dir]
    test += ['--show-dir', pictures]
    if task == 'cls':  # one picture for 20 of the 360 digits
        test += ['--interval', 20]
    run(*test)
    # mmseg draws into a folder of its visualizer's, two levels down.
    for picture in pictures.glob('vis_data/vis_image/*'):
        picture.rename(pictures / picture.name)
    shutil.rmtree(pictures / 'vis_data', ignore_errors=True)

    results = json.loads(max(work_dir.glob('*/*.json')).read_text())
    print(f'\nDone: {config}')
    for key, name in metrics.items():
        print(f'  {name:20}{results[key]:.3f}')
    print(f'  checkpoint          {checkpoint}')
    print(
        f'  pictures            {pictures} ({len(list(pictures.iterdir()))})'
    )


if __name__ == '__main__':
    main(sys.argv[1] if len(sys.argv) > 1 else 'det')
