"""The folder that a tool writes its results to."""

import json
import os
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any, Union

import cv2
import numpy as np
from PIL import Image

from .errors import BanetError
from .files import open_folder, put_whole


class OutputError(BanetError):
    """Why results cannot be written there, with the remedy."""


def make_folder(path: Path) -> None:
    """Make a folder to write to.

    Raises:
        OutputError: It cannot be written to.
    """
    try:
        open_folder(path)
    except OSError as error:
        raise OutputError(
            f'{path} cannot be written to: {error}. Name another folder with '
            '--out.'
        ) from error


class OutFolder:
    """A folder for results, each of which is written whole or not at all.

    It is made with the first of them.

    Args:
        path (str | Path): The folder.
        force (bool): Take one that holds files; those of the same names are
            replaced. Defaults to False.
        inputs (Iterable[Path]): Files that are read, and never replaced.

    Raises:
        OutputError: It holds files or cannot be made.
    """

    def __init__(
        self,
        path: Union[str, Path],
        force: bool = False,
        inputs: Iterable[Path] = (),
    ):
        self.path = Path(path)
        self.inputs = set(map(os.path.realpath, inputs))
        try:
            if not force and self.path.is_dir() and any(self.path.iterdir()):
                raise OutputError(
                    f'{path} holds files: name another folder with --out, or '
                    'replace those of the same names with --force.'
                )
        except OSError as error:
            raise OutputError(f'{path} cannot be read: {error}.') from error
        there = next(p for p in (self.path, *self.path.parents) if p.exists())
        if not there.is_dir() or not os.access(there, os.W_OK):
            raise OutputError(
                f'{path} cannot be made: {there} is no folder that can be '
                'written to. Name another with --out.'
            )

    def file(self, name: str) -> Path:
        """Path of a file in it, whose folder is made.

        Raises:
            OutputError: It is one of the inputs.
        """
        path = self.path / name
        if os.path.realpath(path) in self.inputs:
            raise OutputError(
                f'{path} is an input, and would be replaced: name another '
                'folder with --out.'
            )
        if not path.parent.is_dir():
            make_folder(path.parent)
        return path

    def picture(self, name: str, image: np.ndarray) -> str:
        """Write an image (H, W, 3), uint8, BGR, as ``name``.png."""
        ok, data = cv2.imencode('.png', image)
        assert ok, image.shape
        put_whole(data.tobytes(), self.file(f'{name}.png'))
        return f'{name}.png'

    def labels(self, name: str, labels: np.ndarray, palette: list) -> str:
        """Write labels (H, W) below 256 as ``name``.png, one channel.

        Viewers show them in the colours of ``palette``.
        """
        image = Image.fromarray(labels.astype(np.uint8))
        image.putpalette(np.asarray(palette, np.uint8).flatten().tolist())
        with BytesIO() as buffer:
            image.save(buffer, 'PNG')
            put_whole(buffer.getvalue(), self.file(f'{name}.png'))
        return f'{name}.png'

    def json(self, name: str, content: Any) -> Path:
        """Write plain values as ``name``."""
        path = self.file(name)
        put_whole(json.dumps(content, indent=1).encode(), path)
        return path
