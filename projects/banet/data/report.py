"""What a walk through a data set found."""

import csv
from collections import defaultdict
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path

ERROR = 'error'  # stops a training or an evaluation, or makes it wrong
LOST = 'lost'  # the upstream library leaves it out without a word
NOTE = 'note'  # upstream copes with it; worth knowing
EXAMPLES = 3  # printed per kind of problem


@dataclass(frozen=True)
class Problem:
    """One thing in one place.

    Args:
        severity (str): ``ERROR``, ``LOST`` or ``NOTE``.
        kind (str): What it is, in words that do not change with the place.
        where (str): File, annotation or key of the config.
        text (str): Value and remedy.
    """

    severity: str
    kind: str
    where: str
    text: str = ''


@dataclass
class Report:
    """All problems of a config's data, and what the data holds."""

    problems: list = field(default_factory=list)  # (split, Problem)
    contents: list = field(default_factory=list)  # (split, what it holds)
    sheets: list = field(default_factory=list)  # files of draw_sheet

    def add(self, split: str, problems) -> None:
        """Add ``problems`` of ``split``."""
        self.problems += [(split, problem) for problem in problems]

    @property
    def failed(self) -> bool:
        """Whether anything but notes was found."""
        return any(p.severity != NOTE for _, p in self.problems)

    def lines(self) -> list:
        """What to print: the contents, then each kind with examples."""
        out = [f'{split}: {content}' for split, content in self.contents]
        groups = defaultdict(list)
        for split, problem in self.problems:
            groups[problem.severity, problem.kind].append((split, problem))
        order = [ERROR, LOST, NOTE]
        for severity, kind in sorted(groups, key=lambda g: order.index(g[0])):
            found = groups[severity, kind]
            out.append(f'{severity:5} {kind}: {len(found)}')
            for split, problem in found[:EXAMPLES]:
                text = f': {problem.text}' if problem.text else ''
                out.append(f'      {split} {problem.where}{text}')
            if len(found) > EXAMPLES:
                out.append(f'      ... and {len(found) - EXAMPLES} more')
        return out

    def write(self, path: Path) -> None:
        """Write every problem as a row of a csv file."""
        # A file's name may hold any bytes.
        with open(
            path, 'w', newline='', encoding='utf-8', errors='surrogateescape'
        ) as file:
            writer = csv.writer(file)
            writer.writerow(['split', *(f.name for f in fields(Problem))])
            writer.writerows([s, *astuple(p)] for s, p in self.problems)
