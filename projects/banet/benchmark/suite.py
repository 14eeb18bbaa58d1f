"""Whole series of runs, with the goals that they are held against."""

import shlex
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .report import table


@dataclass(frozen=True)
class Goal:
    """How dear one network may be beside another.

    Attributes:
        model (str): Whose time is held against the goal.
        limit (float): Largest ratio of the times.
        beside (str): The other network. Defaults to ``plain``.
    """

    model: str
    limit: float
    beside: str = 'plain'


Goals = Mapping[int, tuple[Goal, ...]]


@dataclass(frozen=True)
class Case:
    """One run of the benchmark.

    Attributes:
        title (str): For the reader.
        options (str): Command-line options of tools/benchmark.py.
        goals (Mapping): Batch size to goals.
    """

    title: str
    options: str
    goals: Goals = field(default_factory=dict)


SE = 0.97  # at least 3 % faster


def _infer(limit, *batches):
    """Goals of the deploy form, one limit per batch."""
    return {
        batch: (
            Goal('bav2-deploy', one),
            Goal('bav2-deploy', SE, 'se'),
        )
        for batch, one in zip(batches, limit)
    }


TRAINING = {16: (Goal('bav2', 1.07), Goal('bav2', SE, 'se'))}
NETWORKS = '--models plain se eca bav1 bav2'
DEPLOYED = '--models plain se eca bav2-deploy'
BIG = '--mode train --batch 256 --size 224 --dtype bf16 --channels-last'
MASK = '--config configs/detection/mask-rcnn_ba-r50_fpn_1x_coco.py'
SUITES = {
    'cpu': (
        Case(
            'training step',
            f'--mode train --batch 16 --size 160 {NETWORKS} bav2-straight',
            TRAINING,
        ),
        Case(
            'training step, channels_last',
            f'--mode train --batch 16 --size 160 --channels-last {NETWORKS}',
            TRAINING,
        ),
        Case(
            'training step, norm_eval',
            '--mode train --batch 16 --size 160 --norm-eval '
            '--models plain se bav2',
            TRAINING,
        ),
        Case(
            'training step, compiled against compiled plain',
            '--mode train --batch 16 --size 160 --channels-last '
            '--runtime compile --models plain se bav2',
            {16: (Goal('bav2', 1.05), Goal('bav2', SE, 'se'))},
        ),
        Case(
            'inference',
            f'--batch 1 8 {DEPLOYED} bav2',
            _infer((1.06, 1.02), 1, 8),
        ),
        Case(
            'inference, ONNX Runtime',
            f'--batch 1 8 --runtime onnxruntime {DEPLOYED}',
            _infer((1.07, 1.15), 1, 8),
        ),
        Case(
            'inference, OpenVINO',
            f'--batch 1 8 --runtime openvino {DEPLOYED}',
            _infer((1.06, 1.06), 1, 8),
        ),
    ),
    'gpu': (
        Case('training, R50', f'{BIG} {NETWORKS} bav2-straight bav2-compiled'),
        Case('training, R50, norm_eval', f'{BIG} --norm-eval {NETWORKS}'),
        Case('training, R50, compiled', f'{BIG} --runtime compile {NETWORKS}'),
        Case('training, R101', f'{BIG} --depth 101 --batch 128 {NETWORKS}'),
        Case(
            'training, R50, fp16',
            '--mode train --batch 256 --size 224 --dtype fp16 '
            f'--channels-last {NETWORKS}',
        ),
        Case(
            'inference, R50',
            f'--batch 1 256 --dtype bf16 --channels-last {DEPLOYED} bav2',
        ),
        Case(
            'inference, R50, compiled',
            '--batch 1 256 --dtype bf16 --channels-last --runtime compile '
            f'{DEPLOYED}',
        ),
        Case(
            'inference, R50, CUDA graph',
            '--batch 1 --dtype bf16 --channels-last --cuda-graph '
            f'{DEPLOYED} bav2',
        ),
        Case(
            'Mask R-CNN, training',
            f'{MASK} --mode train --batch 2 --size 800x1344 '
            '--models plain se bav2',
        ),
        Case(
            'Mask R-CNN, inference',
            f'{MASK} --batch 1 --size 800x1344 --models plain se bav2-deploy',
        ),
    ),
}
DEVICES = dict(cpu='cpu', gpu='cuda')


def commands(name: str, more: list[str]) -> Iterator[tuple[Case, list[str]]]:
    """Each case of a suite with its whole command line.

    Args:
        name (str): One of :data:`SUITES`.
        more (list[str]): Options of all cases, such as ``--threads 2``.
    """
    device = [] if '--device' in more else ['--device', DEVICES[name]]
    for case in SUITES[name]:
        yield case, [*shlex.split(case.options), *device, *more]


def run_suite(
    name: str,
    parser: ArgumentParser,
    more: list[str],
    compare: Callable,
    keep: Callable[[list[dict]], None],
) -> list[dict]:
    """Run a suite, printing each table as soon as it is there.

    A case whose memory or packages are missing says so and is left out.

    Args:
        name (str): One of :data:`SUITES`.
        parser (ArgumentParser): Of a case's command line.
        more (list[str]): Options of all cases.
        compare (Callable): Runs a case: options to results.
        keep (Callable): Is given what there is after each case, for a suite
            takes long and may be cut off.

    Returns:
        list: Results of :func:`banet.benchmark.run` with ``title``,
        ``command`` and ``goals``; or with ``problem``.
    """
    found: list[dict[str, Any]] = []
    for case, words in commands(name, more):
        command = 'python tools/benchmark.py ' + shlex.join(words)
        print(f'\n### {case.title}\n\n```bash\n{command}\n```\n', flush=True)
        case_found: dict[str, Any] = dict(title=case.title, command=command)
        try:
            results = compare(parser.parse_args(words))
        except Exception as error:  # out of memory, no compiler, no package
            problem = f'{type(error).__name__}: {error}'.splitlines()[0]
            print(f'not measured: {problem}', flush=True)
            case_found.update(problem=problem)
        else:
            print(table(results), flush=True)
            goals = list(_against(case, results))
            case_found.update(results, goals=goals)
        found.append(case_found)
        keep(found)
    print(f'\n{goal_table(found)}')
    return found


def _against(case, results):
    for result in results['results']:
        times = {row['model']: row for row in result['rows']}
        for goal in case.goals.get(result['batch'], ()):
            reached = times[goal.model]['ratio'] / times[goal.beside]['ratio']
            yield dict(
                batch=result['batch'],
                model=goal.model,
                beside=goal.beside,
                limit=goal.limit,
                reached=reached,
            )


def goal_table(found: list[dict]) -> str:
    """Goals and what was reached, as a markdown table."""
    lines = [
        '| what | batch | ratio | goal | reached |',
        '| --- | --- | --- | --- | --- |',
    ]
    for case in found:
        for goal in case.get('goals', ()):
            missed = '' if goal['reached'] <= goal['limit'] else ' (missed)'
            lines.append(
                f'| {case["title"]} | {goal["batch"]} | {goal["model"]} / '
                f'{goal["beside"]} | <= {goal["limit"]} | '
                f'{goal["reached"]:.3f}{missed} |'
            )
        if 'problem' in case:
            lines.append(f'| {case["title"]} | | | | {case["problem"]} |')
    return '\n'.join(lines)
