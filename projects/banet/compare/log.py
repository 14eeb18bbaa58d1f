"""What a training has logged so far."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional

from ..engine.curves import NO_CURVES
from .folder import curves_of


class RunLog:
    """The json lines of a run's processes; each is read once.

    Args:
        folder (Path): The run's work dir.

    Attributes:
        step (dict | None): The last line of the training.
        metrics (set[str]): Names in the lines of its validations.
        validations (dict): These lines, the last one at the end, by their
            steps where they have any: a resumed run validates again.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.step: Optional[dict] = None
        self.metrics: set[str] = set()
        self.validations: dict[Any, dict] = {}
        self._read: dict[Path, int] = {}

    def look(self) -> None:
        """Read what is new."""
        for file in curves_of(self.folder):
            with open(file, 'rb') as stream:
                stream.seek(self._read.get(file, 0))
                for line in stream:
                    if not line.endswith(b'\n'):  # it is being written
                        break
                    self._read[file] = stream.tell()
                    with suppress(ValueError):  # a process was killed there
                        self._add(json.loads(line))

    def _add(self, entry):
        if 'loss' in entry:
            self.step = entry
        else:
            self.metrics |= set(entry) - NO_CURVES
            key = entry.get('step') or f'{len(self.validations)}th'
            self.validations.pop(key, None)  # or it would keep its place
            self.validations[key] = entry

    @property
    def validation(self) -> dict:
        """The last line of its validations; empty, if there is none."""
        return next(reversed(self.validations.values()), {})
