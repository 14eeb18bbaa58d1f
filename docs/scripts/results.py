"""Write the tables of docs/results.md from the files that compare.py made.

    python docs/scripts/results.py

Each lies between ``<!-- result PLAN -->`` and ``<!-- end -->`` and is that of
results/PLAN.md, with its picture.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / 'docs/results.md'
TABLE = re.compile(r'(<!-- result (\S+) -->\n).*?(?=<!-- end -->)', re.S)


def table(plan):
    text = (ROOT / f'results/{plan}.md').read_text()
    rows = [line for line in text.splitlines() if line.startswith('|')]
    picture = (
        f'![{plan}: dots, means, paired differences](../results/{plan}.png)'
    )
    return '\n'.join([*rows, '', picture]) + '\n'


def page():
    """The whole page with its tables made anew."""
    return TABLE.sub(lambda m: m[1] + table(m[2]), PAGE.read_text())


if __name__ == '__main__':
    PAGE.write_text(page())
