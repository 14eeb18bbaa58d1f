"""The scripts around the tools: data for the demo, launchers."""

import os
import subprocess

import pytest
from runs import ROOT, tool


def test_digits_are_all_of_scikit_learns(tmp_path):
    assert tool('prepare_digits.py', tmp_path / 'digits').returncode == 0
    assert len(list(tmp_path.glob('digits/train/*/*.png'))) == 1437
    assert len(list(tmp_path.glob('digits/val/*/*.png'))) == 360


TORCHRUN = (
    'torchrun --nnodes=2 --node_rank=1 --master_addr=10.0.0.1 '
    '--master_port=29501 --nproc_per_node=8'
)
SRUN = (
    'srun -p part --job-name=job --gres=gpu:8 --ntasks=16 '
    '--ntasks-per-node=8 --cpus-per-task=5 --kill-on-bad-exit=1 --quiet '
    'python -u'
)


@pytest.mark.parametrize(
    'script,args,launcher,rest',
    [
        ('dist_train.sh', 'c.py 8 --amp', TORCHRUN, 'c.py {} --amp'),
        (
            'dist_test.sh',
            'c.py x.pth 8 --tta',
            TORCHRUN,
            'c.py x.pth {} --tta',
        ),
        ('slurm_train.sh', 'part job c.py --amp', SRUN, 'c.py {} --amp'),
        ('slurm_test.sh', 'part job c.py x.pth', SRUN, 'c.py x.pth {}'),
    ],
)
def test_launch_scripts_pass_everything_on(
    script, args, launcher, rest, tmp_path
):
    """To commands of these names that print how they were called."""
    for name in ('torchrun', 'srun'):
        echo = tmp_path / name
        echo.write_text('#!/bin/sh\necho "$(basename "$0")" "$@"\n')
        echo.chmod(0o755)
    environment = dict(
        os.environ,
        PATH=f'{tmp_path}:{os.environ["PATH"]}',
        NNODES='2',
        NODE_RANK='1',
        MASTER_ADDR='10.0.0.1',
        PORT='29501',
        GPUS='16',
        SRUN_ARGS='--quiet',
    )
    tools = ROOT / 'tools'
    result = subprocess.run(
        ['bash', tools / script, *args.split()],
        env=environment,
        capture_output=True,
        text=True,
    )
    python_tool = 'train.py' if 'train' in script else 'test.py'
    kind = 'pytorch' if 'dist' in script else 'slurm'
    rest = rest.format(f'--launcher {kind}')
    assert result.stdout.strip() == f'{launcher} {tools}/{python_tool} {rest}'
