"""Which faults in bridge/ do the tests notice? Mutants by cosmic-ray.

    python -m pip install cosmic-ray
    python tests/stress/mutants.py --sample 160 --out work_dirs/mutants.csv

Each mutant, drawn by a seed, is one changed operator, number, condition or
decorator in one file of projects/banet/bridge. It runs in a process of its
own, forked after the libraries are imported, under the tests of its room, the
nearest first, until one fails. Prints the survivors and the share killed.
"""

import argparse
import csv
import importlib.machinery
import os
import random
import sys
import time
from itertools import count
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BRIDGE = ROOT / 'projects/banet/bridge'
# What says most of a file comes first.
NEAREST = {
    'attention': ['bridge/test_attention.py'],
    'channel_attention': ['bridge/test_channel_attention.py'],
    'gate': ['bridge/test_attention.py'],
    'vector_norm': ['bridge/test_attention.py'],
    'build': [
        'contracts/test_freezing.py',
        'backbones/test_resnet_arguments.py',
    ],
    'watch': ['bridge/test_watch.py'],
    'warm_start': [
        'backbones/test_warm_start.py',
        'contracts/test_freezing.py',
        'contracts/test_weights.py',
    ],
    'deploy': ['bridge/test_deploy.py', 'backbones/test_families_deploy.py'],
    'ops': ['bridge/test_ops.py', 'bridge/test_norm.py'],
    'norm': ['bridge/test_norm.py'],
    'residual': ['bridge/test_norm.py', 'bridge/test_deploy.py'],
    'compiled': ['bridge/test_compiled.py'],
    'block': ['backbones/test_families_formulas.py', 'bridge/test_deploy.py'],
}
THEN = [
    'bridge',
    'backbones/test_resnet.py',
    'backbones/test_families_formulas.py',
    'backbones/test_warm_start.py',
    'backbones/test_loading_report.py',
    'backbones/test_resnet_arguments.py',
    'contracts/test_forwards.py',
]
SLOW = {'compiled'}  # whose own tests compile
LIMIT = 900  # seconds, far above what all tests take; a hang is noticed


def mutants():
    """(file, operator, line, mutated source) of all."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names

    for path in sorted(BRIDGE.glob('*.py')):
        source = path.read_text()
        for name in sorted(operator_names()):
            operator = get_operator(name)
            if operator.arguments():  # those want a choice for each project
                continue
            for occurrence in count():
                code = mutate_code(source, operator(), occurrence)
                if code is None:
                    break
                lines = zip(source.splitlines(), code.splitlines())
                line = next(
                    (i for i, (x, y) in enumerate(lines, 1) if x != y), 0
                )
                yield path, name, line, code


def run(path, code, tests):
    """Exit code of the tests on the package with that file's source."""
    import pytest

    original = importlib.machinery.SourceFileLoader.get_code

    def get_code(loader, name):
        if Path(loader.path) == path:
            return compile(code, str(path), 'exec')
        return original(loader, name)

    importlib.machinery.SourceFileLoader.get_code = get_code
    with open(os.devnull, 'w') as null:
        os.dup2(null.fileno(), 1)
        os.dup2(null.fileno(), 2)
    options = ['-x', '-q', '-p', 'no:cacheprovider', '-p', 'no:warnings']
    if path.stem not in SLOW:
        options += ['-m', 'not slow']
    return pytest.main([*options, *tests])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--sample', type=int, default=160)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--share', default='1/1', help='such as 1/2')
    parser.add_argument('--out', default='mutants.csv')
    parser.add_argument('--again', help='csv: only those that survived there')
    args = parser.parse_args()
    drawn = list(mutants())
    random.Random(args.seed).shuffle(drawn)
    part, parts = map(int, args.share.split('/'))
    drawn = drawn[: args.sample][part - 1 :: parts]
    if args.again:
        with open(args.again, newline='') as file:
            alive = {
                (row['file'], row['operator'], row['line'])
                for row in csv.DictReader(file)
                if row['killed'] == 'False'
            }
        drawn = [
            mutant
            for mutant in mutants()
            if (mutant[0].stem, mutant[1], str(mutant[2])) in alive
        ]
    # What every test imports anyway, but the package itself.
    import mmcv  # noqa: F401
    import mmpretrain.models  # noqa: F401
    import pytest  # noqa: F401
    import torch

    torch.set_num_threads(1)
    with open(args.out, 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['file', 'line', 'operator', 'killed', 'seconds'])
        for path, name, line, code in drawn:
            tests = [
                str(ROOT / 'tests' / test)
                for test in dict.fromkeys(
                    [*NEAREST[path.stem], *(THEN * (path.stem not in SLOW))]
                )
            ]
            start = time.time()
            child = os.fork()
            if not child:
                try:
                    status = run(path, code, tests)
                except BaseException:  # whatever a mutant raises
                    status = 1
                os._exit(int(status != 0))
            status = None
            while status is None and time.time() - start < LIMIT:
                found, code_ = os.waitpid(child, os.WNOHANG)
                status = code_ if found else time.sleep(0.2)
            if status is None:
                os.kill(child, 9)
                os.waitpid(child, 0)
            killed = status != 0
            seconds = round(time.time() - start, 1)
            writer.writerow([path.stem, line, name, killed, seconds])
            file.flush()
            print(path.stem, line, name, killed, seconds, flush=True)


if __name__ == '__main__':
    sys.exit(main())
