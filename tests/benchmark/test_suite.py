"""Series of runs: their command lines are the tool's, their goals are met."""

import runpy

import pytest
from runs import ROOT, tool

from banet.benchmark import run_suite, SUITES
from banet.benchmark.suite import commands, goal_table

PARSER = runpy.run_path(str(ROOT / 'tools/benchmark.py'))['options']


@pytest.mark.parametrize('name', SUITES)
def test_every_case_is_a_command_of_the_tool(name):
    for case, words in commands(name, ['--threads', '2']):
        args = PARSER().parse_args(words)
        assert args.threads == 2
        assert args.device == dict(cpu='cpu', gpu='cuda')[name]
        for batch, goals in case.goals.items():
            assert batch in args.batch
            for goal in goals:
                assert {goal.model, goal.beside} <= set(args.models)


def measured(args):
    """What a run gives in which BAv2 is 1.1 and SE 1.2 times plain."""
    ratios = dict(plain=1.0, se=1.2)
    rows = [
        dict(
            model=model,
            ms=1.0,
            images_per_s=1.0,
            ratio=ratios.get(model, 1.1),
            ratio_quartiles=[1, 1],
            peak_mib=1,
            saved_mib=1,
            params=1,
            macs=1,
        )
        for model in args.models
    ]
    if args.runtime == 'openvino':
        raise RuntimeError('not installed\nsecond line')
    return dict(
        machine='here',
        options=vars(args),
        results=[dict(batch=b, size=[64, 64], rows=rows) for b in args.batch],
    )


def test_goals_are_held_against_what_was_measured(capsys):
    found = run_suite('cpu', PARSER(), [], measured, len)
    text = goal_table(found)
    assert text in capsys.readouterr().out
    rows = [line for line in text.splitlines() if 'training step |' in line]
    assert rows == [
        '| training step | 16 | bav2 / plain | <= 1.07 | 1.100 (missed) |',
        '| training step | 16 | bav2 / se | <= 0.97 | 0.917 |',
    ]
    (problem,) = [case for case in found if 'problem' in case]
    assert problem['problem'] == 'RuntimeError: not installed'
    assert '| inference, OpenVINO | | | | RuntimeError: not' in text


def test_what_was_measured_is_kept_after_each_case():
    """A case that never ends takes nothing of the others with it."""
    kept = []
    found = run_suite(
        'cpu', PARSER(), [], measured, lambda all: kept.append(len(all))
    )
    assert kept == list(range(1, len(found) + 1))


@pytest.mark.parametrize(
    'options,message',
    [
        ('cpu --dtype bf16 --plot x.png', 'cpu has its own --dtype, --plot'),
        ('cpu --device cuda:1', '--suite cpu is for cpu, not for --device cu'),
        ('gpu --device cpu', '--suite gpu is for cuda, not for --device cpu'),
        ('gpu --mode infer', 'gpu has its own --mode'),
    ],
)
def test_option_that_no_case_would_follow_is_named(options, message):
    result = tool('benchmark.py', '--suite', *options.split())
    assert result.returncode == 1
    assert message in result.stderr


def test_suite_runs_on_the_device_that_is_named():
    for _, words in commands('gpu', ['--device', 'cuda:1']):
        assert PARSER().parse_args(words).device == 'cuda:1'
    for _, words in commands('gpu', []):
        assert PARSER().parse_args(words).device == 'cuda'
