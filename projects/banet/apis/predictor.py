"""A trained model that sees images, one ``predict`` for the three tasks."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Union

import cv2
import mmcv
import numpy as np
import PIL.Image
import PIL.ImageOps
import torch
from mmengine.registry import DefaultScope
from mmengine.structures import BaseDataElement

from ..data.sources import SourceError
from .classes import classes_of

Image = Union[str, Path, np.ndarray, PIL.Image.Image]


class Predictor:
    """What :func:`load` returns.

    Attributes:
        task (str): ``'cls'``, ``'det'`` or ``'seg'``.
        model (nn.Module): The classifier, detector or segmentor, in eval
            mode.
        config (Config): What it was built from.
        classes (tuple[str]): Names of its classes, in the order of labels.
        palette (list): A colour (R, G, B) per class.
    """

    task: str

    def __init__(self, config, model, meta, device):
        self.config = config
        self.classes, self.palette = classes_of(config, model, meta)
        self._inferencer = self._wrap(model.to(device), device)
        self.model = self._inferencer.model

    def predict(
        self,
        images: Union[Image, Sequence[Image]],
        batch_size: int = 1,
        score: float = 0.3,
    ) -> list[dict]:
        """Predict images.

        Args:
            images (str | Path | ndarray | PIL.Image | Sequence): Files,
                Pillow's images, or arrays of (H, W, 3), uint8, BGR; one or
                many.
            batch_size (int): Images at once. Defaults to 1.
            score (float): Boxes of less are left out; detection only.
                Defaults to 0.3.

        Returns:
            list[dict]: One per image.

            - classification: ``top``, the five best classes, each a dict of
              ``class``, ``label`` and ``score`` in [0, 1].
            - detection: arrays ``boxes`` (n, 4), x1, y1, x2, y2 in pixels of
              the image; ``scores`` (n,), ``labels`` (n,) and, if the model
              has a mask head, ``masks`` (n, H, W), bool.
            - segmentation: ``labels`` (H, W), integers, the class of every
              pixel.

        Raises:
            SourceError: An image cannot be read, or is no such array.
        """
        if isinstance(images, (str, Path, np.ndarray, PIL.Image.Image)):
            images = [images]
        samples = self.samples(map(read_image, images), batch_size)
        return [self.result(sample, score) for sample in samples]

    def samples(
        self, images: Iterable[np.ndarray], batch_size: int = 1
    ) -> Iterator[BaseDataElement]:
        """The library's own result per image, as it becomes ready.

        Args:
            images (Iterable[ndarray]): Each (H, W, 3), uint8, BGR.
            batch_size (int): Images at once. Defaults to 1.
        """
        if batch_size < 1:
            raise SourceError(
                f'batch_size={batch_size}: at least 1 image at once.'
            )
        images = iter(images)
        while chunk := list(islice(images, batch_size)):
            inputs = [self.preprocess(image) for image in chunk]
            for _, alike in groupby(inputs, self._shape):
                with torch.no_grad(), self.scope():
                    results = self.model.test_step(_batch(alike))
                yield from results

    def preprocess(self, image: np.ndarray) -> dict:
        """Run the config's test pipeline.

        Args:
            image (ndarray): (H, W, 3), uint8, BGR.

        Returns:
            dict: What the model's ``test_step`` takes, for one image.
        """
        with self.scope():
            return next(iter(self._inferencer.preprocess([image])))

    def normalize(self, inputs: dict) -> dict:
        """What the network takes of :meth:`preprocess`, as a batch of one."""
        with self.scope():
            return self.model.data_preprocessor(inputs, False)

    def scope(self):
        """Context in which the library's names are found in registries."""
        return scope_of(self.config)

    def _shape(self, inputs):
        """Images of one batch have the same: only mmdet pads while testing."""
        return inputs['inputs'][0].shape

    def draw(
        self, image: np.ndarray, sample: BaseDataElement, score: float = 0.3
    ) -> np.ndarray:
        """Draw a prediction with the library's visualizer.

        Args:
            image (ndarray): (H, W, 3), uint8, BGR.
            sample (BaseDataElement): Of :meth:`samples`.
            score (float): Boxes of less are not drawn. Defaults to 0.3.

        Returns:
            ndarray: (H', W', 3), uint8, BGR.
        """
        visualizer = self._visualizer()
        self._draw(visualizer, mmcv.bgr2rgb(image), sample.cpu(), score)
        return mmcv.rgb2bgr(visualizer.get_image())

    def result(self, sample: BaseDataElement, score: float = 0.3) -> dict:
        """What :meth:`predict` returns for one image."""
        raise NotImplementedError

    def _wrap(self, model, device):
        """The library's inferencer around a model."""
        raise NotImplementedError

    def _visualizer(self):
        visualizer = self._inferencer.visualizer
        visualizer.dataset_meta = dict(
            classes=self.classes, palette=self.palette
        )
        return visualizer

    def _draw(self, visualizer, image, sample, score):
        visualizer.add_datasample('', image, sample, draw_gt=False)


def scope_of(config):
    return DefaultScope.overwrite_default_scope(config.default_scope)


def _batch(inputs):
    """One batch of several, each as a test_step takes it."""
    inputs = list(inputs)
    images = [i['inputs'] for i in inputs]
    return dict(
        inputs=torch.cat(images)
        if isinstance(images[0], torch.Tensor)
        else [image for each in images for image in each],
        data_samples=[s for i in inputs for s in i['data_samples']],
    )


def read_image(image: Image) -> np.ndarray:
    """Read an image as (H, W, 3), uint8, BGR; arrays are only checked.

    Pillow's images, of any mode, are turned into that form as the same files
    are: upright, and 16 bits to 8.

    Raises:
        SourceError: It cannot be read, or has another shape or type.
    """
    if isinstance(image, np.ndarray):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise SourceError(
                f'an image of shape {image.shape} and type {image.dtype} '
                'cannot be predicted: pass (H, W, 3), uint8, BGR.'
            )
        return image
    if isinstance(image, PIL.Image.Image):
        image = PIL.ImageOps.exif_transpose(image)
        if image.mode.startswith('I;16'):
            image = PIL.Image.fromarray((np.asarray(image) >> 8).astype('u1'))
        return np.ascontiguousarray(
            np.asarray(image.convert('RGB'))[..., ::-1]
        )
    try:
        pixels = mmcv.imread(str(image))
    except (OSError, cv2.error) as error:
        raise SourceError(f'{image} cannot be read: {error}') from error
    if pixels is None:
        raise SourceError(f'{image} is no image that can be read.')
    return pixels
