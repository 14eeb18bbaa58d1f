"""Predictions as pictures and one json, in the form that each task uses."""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Optional, Union

import cv2
import numpy as np
from rich.progress import track

from ..data.sources import Images, Video
from ..utils.compat import need
from ..utils.outfolder import OutFolder, OutputError
from .predictor import Predictor


class Record:
    """What the json says, growing image by image.

    The json has ``images``, one entry per image with its ``file_name`` and,
    in a video, ``frame``, and ``skipped``, the files that were not read.
    """

    def __init__(self, predictor: Predictor, out: OutFolder, score: float):
        self.predictor, self.out, self.score = predictor, out, score
        self.content = dict(classes=list(predictor.classes), images=[])

    def add(self, name: str, entry: dict, sample) -> None:
        """Add the prediction ``sample`` of the image ``entry``."""
        result = self.predictor.result(sample, self.score)
        self.content['images'].append({**entry, **self.describe(name, result)})

    def describe(self, name: str, result: dict) -> dict:
        """What is said of one image besides where it is."""
        raise NotImplementedError


class TopRecord(Record):
    """Classification: the five best classes per image, as ``top``."""

    def describe(self, name, result):
        return result


class LabelRecord(Record):
    """Segmentation: a label PNG per image, and each class's share of it."""

    def __init__(self, *args):
        super().__init__(*args)
        if len(self.predictor.classes) > 256:
            raise OutputError(
                f'{len(self.predictor.classes)} classes do not fit into '
                'label PNGs of 8 bits: use banet.load(...).predict(...).'
            )

    def describe(self, name, result):
        labels = result['labels']
        counts = np.bincount(
            labels.flat, minlength=len(self.content['classes'])
        )
        return dict(
            label=self.out.labels(
                f'labels/{name}', labels, self.predictor.palette
            ),
            share={
                c: count / labels.size
                for c, count in zip(self.content['classes'], counts.tolist())
                if count
            },
        )


class CocoRecord(Record):
    """Detection: images, categories and annotations as COCO has them.

    Ids count from 1, those of categories in the order of the classes. Each
    annotation has a ``score``; masks are compressed run lengths.
    """

    def __init__(self, *args):
        super().__init__(*args)
        self.content = dict(
            images=[],
            categories=[
                dict(id=i, name=name)
                for i, name in enumerate(self.predictor.classes, 1)
            ],
            annotations=[],
        )

    def add(self, name, entry, sample):
        images, found = self.content['images'], self.content['annotations']
        height, width = sample.ori_shape
        images.append(
            dict(id=len(images) + 1, width=width, height=height, **entry)
        )
        result = self.predictor.result(sample, self.score)
        for i, (x1, y1, x2, y2) in enumerate(result['boxes'].tolist()):
            annotation = dict(
                id=len(found) + 1,
                image_id=len(images),
                category_id=int(result['labels'][i]) + 1,
                bbox=[x1, y1, x2 - x1, y2 - y1],
                area=(x2 - x1) * (y2 - y1),
                iscrowd=0,
                score=float(result['scores'][i]),
            )
            if 'masks' in result:
                rle = need('pycocotools.mask', 'pycocotools')
                mask = rle.encode(np.asfortranarray(result['masks'][i]))
                annotation['area'] = float(rle.area(mask))
                mask['counts'] = mask['counts'].decode()
                annotation['segmentation'] = mask
            found.append(annotation)


RECORDS = dict(cls=TopRecord, det=CocoRecord, seg=LabelRecord)


class Clip:
    """A video that is being written: whole when closed, or not at all.

    Its size is that of the first frame.

    Args:
        path (Path): The file, .mp4.
        fps (float): Frames per second.
    """

    def __init__(self, path: Path, fps: float):
        self.path, self.fps = path, fps
        self._writer: Optional[cv2.VideoWriter] = None
        # OpenCV chooses the format by the suffix.
        self._unfinished = path.with_name(f'.{path.stem}.unfinished.mp4')

    def add(self, image: np.ndarray) -> None:
        """Append a frame (H, W, 3), uint8, BGR."""
        if self._writer is None:
            code = cv2.VideoWriter.fourcc(*'mp4v')
            self._writer = cv2.VideoWriter(
                str(self._unfinished), code, self.fps, image.shape[1::-1]
            )
            if not self._writer.isOpened():
                raise OutputError(
                    f'{self.path} cannot be written: OpenCV has no MPEG-4 '
                    'codec here. Pass a folder with the frames instead.'
                )
        self._writer.write(image)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if self._writer is not None:
            self._writer.release()
            if error is None:
                os.replace(self._unfinished, self.path)
        self._unfinished.unlink(missing_ok=True)


def predict_to(
    predictor: Predictor,
    source: Union[Images, Video],
    out: OutFolder,
    score: float = 0.3,
    batch_size: int = 1,
) -> Optional[Path]:
    """Predict all images of ``source``, draw them, and write a json.

    Below ``out``: ``pictures/``, ``labels/`` for segmentation, and, when all
    is done, ``predictions.json``, see the :class:`Record` of the task.

    Args:
        predictor (Predictor): What :func:`banet.load` returns.
        source (Images | Video): What :func:`banet.data.sources.open_source`
            returns. A video's pictures become one video.
        out (OutFolder): Where to write.
        score (float): Boxes of less are left out. Defaults to 0.3.
        batch_size (int): Images at once. Defaults to 1.

    Returns:
        Path | None: The json, None if not one image could be read.
    """
    record = RECORDS[predictor.task](predictor, out, score)
    clip: Union[Clip, nullcontext] = nullcontext()
    if isinstance(source, Video):
        path = out.file(f'pictures/{source.path.stem}.mp4')
        clip = Clip(path, source.fps)
    waiting = []

    def images():
        for name, entry, image in source:
            waiting.append((name, entry, image))
            yield image

    samples = predictor.samples(images(), batch_size)
    total = len(source) or None  # some videos do not say
    with clip:
        # Images that are skipped are no steps, so the bar may end early.
        for sample in track(samples, 'Predicting', total=total):
            name, entry, image = waiting.pop(0)
            picture = predictor.draw(image, sample, score)
            if isinstance(clip, Clip):
                clip.add(picture)
            else:
                file = out.picture(f'pictures/{name}', picture)
                entry = {**entry, 'picture': file}
            record.add(name, entry, sample)
    if not record.content['images']:
        return None
    record.content['skipped'] = [
        dict(file_name=name, reason=reason) for name, reason in source.skipped
    ]
    return out.json('predictions.json', record.content)
