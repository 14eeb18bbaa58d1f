"""Every command of README and docs/ is run, or it is said which test does.

The commands run in a folder like a clone: the same tools, configs and data,
but what they write stays there. Trainings are cut short, networks are
untrained, and what stands for a user's file is given one.
"""

import json
import re
import shlex

import pytest
from inputs import OLD_TORCH
from pages import PAGES
from runs import python_code, ROOT, shell, SHORT, write_checkpoints

RECIPE = r'configs/(classification|detection|segmentation)/'
# pattern -> test that runs such a command, or why none can
ELSEWHERE = {
    r'make (demo|test)': 'the set-up itself: .ci/run is make test',
    r'pip install': 'see test_the_readmes_line_changes_no_other_package',
    r'GPUS=\d+ bash tools/slurm_': 'test_launch_scripts_pass_everything_on',
    r'NNODES=2 ': 'test_launch_scripts_pass_everything_on',
    r'bash tools/dist_test': 'test_launch_scripts_pass_everything_on',
    r'bash tools/dist_train': 'see '
    'test_dist_train_starts_on_a_machine_without_gpu',
    r'tensorboard --logdir': 'a server: its files are read in '
    'test_tensorboard_has_what_the_log_has_and_pictures',
    r'python tools/compare.py': 'half an hour: real runs are in '
    'test_stopped_comparison_goes_on_and_finished_runs_are_not_repeated',
    r'python tests/stress/': 'an hour: docs/reliability.md has its results',
    r'python tools/benchmark.py --suite': 'half an hour: its commands are '
    'parsed in test_every_case_is_a_command_of_the_tool',
    r'python tools/benchmark.py .*--repeats': 'minutes: the same options run '
    'in test_networks_are_timed_and_written and '
    'test_training_and_layouts_are_timed',
    r'python tools/export.py .*--int8': 'the digits are not there: see '
    'test_eight_bits_change_little_and_say_how_much',
    r'python tools/check_data.py my_nuclei': 'large pictures: the same with a '
    'demo config runs in this test',
    rf'python tools/(train|test).py {RECIPE}': 'the data set is not here: the '
    'same command with a demo config runs in this test',
}
# What a command of the docs gets, so that it takes seconds.
SHORTER = {
    r'tools/benchmark.py': '--repeats 1 --batch 1 --size 64 --threads 1 '
    '--models bav2',
    r'tools/explain.py cam .*mask-rcnn': '--most 1 --score 0',
    r'tools/train.py': ' '.join(
        [
            '--cfg-options',
            *(option.format(1) for option in SHORT['mmpretrain'][1]),
            'train_dataloader.dataset.indices=8',
            'val_dataloader.dataset.indices=8',
        ]
    ),
    r'tools/test.py': '--cfg-options test_dataloader.dataset.indices=8',
    r'tools/(convert_checkpoint|predict|export|new_config).py': '--force',
    r'tools/explain.py': '--force',
}
REPLACED = {
    'CONFIG': 'configs/demo/ba-resnet18_digits.py',
    'CHECKPOINT': 'work_dirs/demo-cls/epoch_10.pth',
    'FILE': 'work_dirs/demo-cls/epoch_10.pth',
    'SRC': 'work_dirs/demo-cls/epoch_10.pth',
    'DST': 'converted.pth',
    'OUT.pth': 'folded.pth',
    'OUT.onnx': 'out.onnx',
    'IMAGES': 'data/nuclei_mini/images/val/003cee89357d9fe1.png',
}


def commands():
    for page in PAGES:
        text = page.read_text()
        for block in re.findall(r'^```bash\n(.*?)^```', text, re.M | re.S):
            for line in block.replace('\\\n', ' ').splitlines():
                line = re.sub(r'\s+#.*', '', line).strip()
                if line:
                    yield page.name, line


FIRST: dict[str, str] = {}  # the page of each command's first place
for _page, _command in commands():
    FIRST.setdefault(_command, _page)
COMMANDS = [(page, command) for command, page in FIRST.items()]
RUN = [
    (page, command)
    for page, command in COMMANDS
    if not any(re.match(pattern, command) for pattern in ELSEWHERE)
]


@pytest.fixture(scope='module')
def clone(tmp_path_factory):
    folder = tmp_path_factory.mktemp('clone')
    for name in ('tools', 'configs', 'tests'):
        (folder / name).symlink_to(ROOT / name)
    (folder / 'data').mkdir()
    (folder / 'data/nuclei_mini').symlink_to(ROOT / 'data/nuclei_mini')
    paths = write_checkpoints(folder)
    for name, task in (
        ('demo-cls/epoch_10', 'cls'),
        ('demo-det/epoch_12', 'det'),
        ('demo-seg/iter_360', 'seg'),
        ('plain-cls/epoch_10', 'plain'),
    ):
        path = folder / f'work_dirs/{name}.pth'
        path.parent.mkdir(parents=True)
        paths[task].rename(path)
        log = path.parent / '20260101_000000/vis_data/scalars.json'
        log.parent.mkdir(parents=True)
        log.write_text(json.dumps(dict(loss=1.0, lr=0.1, step=1)) + '\n')
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    'command', [c for _, c in RUN], ids=[f'{p}:{c[:60]}' for p, c in RUN]
)
def test_command_runs(command, clone):
    short = [
        more
        for pattern, more in SHORTER.items()
        if re.search(pattern, command)
    ]
    words = [
        REPLACED.get(word, word)
        for word in shlex.split(
            command.replace(
                '--work-dir work_dirs/demo-cls', '--work-dir work_dirs/run'
            )
        )
    ]
    line = ' '.join(
        [shlex.join(words) if '>' not in words else command, *short]
    )
    if line.count('--cfg-options') == 2:  # one option of many values
        line = ''.join(line.rsplit('--cfg-options ', 1))
    result = shell(line, cwd=clone)
    if OLD_TORCH and re.search('export.py|--runtime', line):
        # Which says so; nothing else of these commands runs there.
        assert result.returncode == 1
        assert 'exports need torch 2.6 or later' in result.stderr
        return
    assert result.returncode == 0, f'{line}\n{result.stderr[-2000:]}'
    assert 'Traceback' not in result.stderr


def test_what_is_not_run_here_is_run_where_it_says():
    tests = '\n'.join(p.read_text() for p in (ROOT / 'tests').rglob('*.py'))
    for reason in ELSEWHERE.values():
        for name in re.findall(r'\btest_\w+_\w+', reason):
            assert f'def {name}(' in tests, name
    for pattern in ELSEWHERE:
        assert any(re.match(pattern, c) for _, c in COMMANDS), pattern


def test_scripts_and_configs_in_commands_exist():
    for _, command in COMMANDS:
        for word in shlex.split(command):
            if re.match(r'(tools|configs|requirements|tests)/\S+\.\w+$', word):
                assert (ROOT / word).is_file(), command


@pytest.mark.slow
def test_python_of_the_docs_runs(clone):
    """The blocks of docs/, and README's configs as configs."""
    for page in PAGES:
        for code in re.findall(
            r'^```python\n(.*?)^```', page.read_text(), re.M | re.S
        ):
            if 'import banet' not in code:
                compile(code, page.name, 'exec')
                continue
            result = python_code(code, cwd=clone)
            assert result.returncode == 0, f'{code}\n{result.stderr[-2000:]}'
