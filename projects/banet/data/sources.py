"""Where images come from: a file, a folder, a glob, or a video."""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Optional, Union

import cv2
import mmcv
import numpy as np

from ..utils.errors import BanetError
from ..utils.files import files_below
from .images import check_file, IMAGES, PICTURES
from .report import ERROR

VIDEOS = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v', '.mpg', '.mpeg')


class SourceError(BanetError):
    """Why there are no images, with the remedy."""


class Images:
    """Image files, which are read one by one.

    Args:
        paths (list[Path]): The files.
        root (Path): Folder that their names are relative to.
        skipped (Iterable[tuple]): File and reason of what lies beside them
            and is not read.

    Attributes:
        skipped (list[tuple]): These, and what could not be read, as far as
            the iteration has come.
    """

    def __init__(
        self,
        paths: list[Path],
        root: Path,
        skipped: Iterable[tuple[str, str]] = (),
    ):
        self.paths = paths
        self.skipped = list(skipped)
        files = [path.relative_to(root) for path in paths]
        stems = Counter(file.with_suffix('') for file in files)
        # a.jpg and a.png are two.
        self.names = [
            str(
                file.with_suffix('')
                if stems[file.with_suffix('')] == 1
                else file.with_name(file.name.replace('.', '_'))
            )
            for file in files
        ]
        if len(set(self.names)) < len(files):  # a_jpg.jpg is there, too
            self.names = [str(file) for file in files]

    def __len__(self):
        return len(self.paths)

    def __iter__(self) -> Iterator[tuple[str, dict, np.ndarray]]:
        """Name of the output, what tells the input, image (H, W, 3) in BGR."""
        for name, path in zip(self.names, self.paths):
            problems = [
                f'{problem.kind}: {problem.text}'
                for problem in check_file(str(path))
                if problem.severity == ERROR
            ]
            image = None
            if not problems:
                # OpenCV refuses more pixels than 2^30.
                with suppress(OSError, cv2.error):
                    image = mmcv.imread(str(path))
            if image is None:
                reason = (problems or ['OpenCV cannot decode it'])[0]
                self.skipped.append((str(path), reason))
            else:
                yield name, dict(file_name=str(path)), image


class Video:
    """The frames of a video file.

    Args:
        path (Path): The file.

    Attributes:
        paths (list[Path]): The file, in a list.
        fps (float): Frames per second.
        skipped (list[tuple]): File and reason of frames that could not be
            decoded, as far as the iteration has come.

    Raises:
        SourceError: Not one frame can be decoded.
    """

    def __init__(self, path: Path):
        self.path, self.paths = path, [path]
        self.skipped: list[tuple[str, str]] = []
        self._reader = mmcv.VideoReader(str(path))
        self.fps = self._reader.fps or 25.0
        if self._reader.read() is None:
            raise SourceError(
                f'{path} cannot be decoded: it is damaged, or OpenCV has no '
                'codec for it here. Convert it, ffmpeg -i '
                f'{path} -c:v libx264 new.mp4, or pass a folder with its '
                'frames.'
            )

    def __len__(self):
        return max(0, self._reader.frame_cnt)  # unknown: 0 or less

    def __iter__(self) -> Iterator[tuple[str, dict, np.ndarray]]:
        """As :class:`Images`; ``frame`` counts from 0."""
        number = -1
        for number, image in enumerate(self._reader):
            name = f'{self.path.stem}/{number:06d}'
            yield name, dict(file_name=str(self.path), frame=number), image
        # Containers state a length that may be off by a frame.
        if number + 2 < len(self):
            self.skipped.append(
                (
                    str(self.path),
                    f'only {number + 1} of {len(self)} frames decoded',
                )
            )


def open_source(text: Union[str, Path]) -> Union[Images, Video]:
    """Find the images that a user named.

    Args:
        text (str | Path): An image or video, a folder (all images in it and
            below), or a glob.

    Raises:
        SourceError: There is no image, or the video cannot be decoded.
    """
    path = Path(text)
    if path.is_file() and path.suffix.lower() in VIDEOS:
        return Video(path)
    if path.is_file():  # whatever its name: reading it tells
        return Images([path], path.parent)
    skipped: list[tuple[str, str]] = []

    def note(error):  # of a folder below
        skipped.append((str(error.filename), str(error.strerror)))

    root: Optional[Path]
    if path.is_dir():
        root, found = path, sorted(files_below(path, note))
    else:
        found = sorted(map(Path, glob.glob(str(text), recursive=True)))
        root = None
    # A link that leads nowhere is one of them: reading it tells.
    paths = [p for p in found if p.suffix.lower() in IMAGES and not p.is_dir()]
    skipped += [
        (str(p), f'{p.suffix} is not read: convert it to PNG')
        for p in found
        if p.suffix.lower() in PICTURES
    ]
    if not paths:
        problem = (
            'holds no image'
            if path.is_dir()
            else 'matches no image'
            if glob.has_magic(str(text))
            else 'does not exist'
        )
        raise SourceError(
            f'{text} {problem} (looked in {os.getcwd()} for '
            f'{", ".join(IMAGES)}; videos: {", ".join(VIDEOS)}).'
            + ''.join(f' {file}: {reason}.' for file, reason in skipped[:1])
        )
    if root is None:
        root = Path(os.path.commonpath([p.parent for p in paths]))
    return Images(paths, root, skipped)
