"""Write the table of versions in docs/getting_started.md.

    python docs/scripts/versions.py

It lies between ``<!-- versions -->`` and ``<!-- end -->`` and comes from
banet/utils/compat.py, which also holds what the import check asks for.
"""

import re
from pathlib import Path

from banet.utils.compat import ORIGINALS, PIP, PYTHONS, REQUIREMENTS

PAGE = Path(__file__).resolve().parents[1] / 'getting_started.md'
TABLE = re.compile(r'(<!-- versions -->\n).*?(?=<!-- end -->)', re.S)


def version(line):
    """``--no-build-isolation onedl-mmcv==2.3.6`` -> ``onedl-mmcv 2.3.6``."""
    pinned = [word.replace('==', ' ') for word in line.split() if '==' in word]
    return ', '.join(pinned)


def table():
    (major, first), (_, limit) = PYTHONS
    newest = f'{major}.{limit - 1}'
    lines = [
        '| | needed | tested: the fork | tested: the original releases |',
        '| --- | --- | --- | --- |',
        f'| Python | {major}.{first} to {newest} | {major}.{first} to '
        f'{newest} | 3.11 (torch 2.1 has none above) |',
    ]
    needed = {name: f'>= {low}, < {high}' for name, low, high in REQUIREMENTS}
    for name in PIP:
        lines.append(
            f'| {name} | {needed.get(name, "for its task only")} | '
            f'{version(PIP[name])} | {version(ORIGINALS[name])} |'
        )
    return '\n'.join(lines) + '\n'


def page():
    """The whole page with its table made anew."""
    return TABLE.sub(lambda match: match[1] + table(), PAGE.read_text())


if __name__ == '__main__':
    PAGE.write_text(page())
