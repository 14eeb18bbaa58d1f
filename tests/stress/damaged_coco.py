"""Damage a COCO file in a thousand ways: is each named, or harmless?

    python tests/stress/damaged_coco.py --count 1000

Prints every damage that is neither, and how many of each there were.
"""

import argparse
import logging
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from damage_outcome import harmless, outcome  # noqa: E402
from damages import damaged, good  # noqa: E402
from hypothesis import given, HealthCheck, settings  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--count', type=int, default=1000)
    args = parser.parse_args()
    warnings.simplefilter('ignore')
    logging.disable(logging.WARNING)
    content = good()
    counts = Counter()

    @settings(
        max_examples=args.count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(damaged(content))
    def try_one(case):
        what, changed = case
        with tempfile.TemporaryDirectory() as folder:
            try:
                found = outcome(changed, Path(folder))
            except Exception as error:  # whatever comes of it
                found = f'{type(error).__name__}: {error}'
        if found == 'named':
            counts['named'] += 1
        elif found == harmless(changed):
            counts['harmless'] += 1
        else:
            counts['missed'] += 1
            print(f'MISSED {what[:150]}: {str(found)[:150]}', flush=True)

    try_one()
    print(dict(counts))


if __name__ == '__main__':
    main()
