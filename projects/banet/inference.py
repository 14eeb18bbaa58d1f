"""A trained model that sees images: the libraries' own inferencers behind
one ``predict`` for the three tasks."""

import copy
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from io import StringIO
from itertools import groupby, islice
from pathlib import Path
from typing import Optional, Union

import cv2
import mmcv
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmengine.registry import DATASETS, DefaultScope
from mmengine.structures import BaseDataElement

from .colours import palette
from .compat import PIP
from .config import CONFIG_SUFFIXES, ConfigError, load_config, SCOPES
from .model import load_model
from .sources import SourceError
from .zoo import find_config

Image = Union[str, Path, np.ndarray]
TOP = 5


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
        self.classes, self.palette = _classes(config, model, meta)
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
            images (str | Path | ndarray | Sequence): Files, or arrays of
                (H, W, 3), uint8, BGR; one or many.
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
        if isinstance(images, (str, Path, np.ndarray)):
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
        return _scope(self.config)

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


class Classifier(Predictor):
    """Predictor of mmpretrain's classifiers."""

    task = 'cls'

    def _wrap(self, model, device):
        from mmpretrain import ImageClassificationInferencer
        from mmpretrain.visualization import UniversalVisualizer

        model._config = self.config
        inferencer = ImageClassificationInferencer(
            model, pretrained=False, device=device, classes=self.classes
        )
        inferencer.visualizer = UniversalVisualizer()
        return inferencer

    def _draw(self, visualizer, image, sample, score):
        # Text needs room, and some classifiers' images are small.
        shortest = min(image.shape[:2])
        visualizer.visualize_cls(
            image,
            sample,
            classes=self.classes,
            draw_gt=False,
            resize=max(224, shortest),
        )

    def result(self, sample, score=0.3):
        scores = sample.pred_score.cpu()
        values, labels = scores.topk(min(TOP, len(scores)))
        return dict(
            top=[
                {'class': self.classes[i], 'label': i, 'score': value}
                for i, value in zip(labels.tolist(), values.tolist())
            ]
        )


class Loaded:
    """Inferencer around a model that is there already.

    Put it before an inferencer of mmdet or mmseg, which would load weights
    without looking whether they fit.
    """

    def _init_model(self, cfg, weights, device):
        return weights.to(device)

    def _init_collate(self, cfg):
        return pseudo_collate  # one image at a time


class Detector(Predictor):
    """Predictor of mmdet's detectors."""

    task = 'det'

    def _shape(self, inputs):
        return None

    def preprocess(self, image):
        return super().preprocess(image)[1]

    def _wrap(self, model, device):
        from mmdet.apis import DetInferencer

        model.dataset_meta = dict(classes=self.classes, palette=self.palette)
        kind = type('LoadedDetector', (Loaded, DetInferencer), {})
        return kind(_without_backends(self.config), model, device)

    def _draw(self, visualizer, image, sample, score):
        visualizer.add_datasample(
            '', image, sample, draw_gt=False, pred_score_thr=score
        )

    def result(self, sample, score=0.3):
        found = sample.pred_instances.cpu()
        found = found[found.scores >= score]
        result = dict(
            boxes=found.bboxes.numpy(),
            scores=found.scores.numpy(),
            labels=found.labels.numpy(),
        )
        if 'masks' in found:
            result['masks'] = np.asarray(found.masks)
        return result


class Segmentor(Predictor):
    """Predictor of mmseg's segmentors."""

    task = 'seg'

    def _wrap(self, model, device):
        from mmseg.apis import MMSegInferencer

        model.dataset_meta = dict(classes=self.classes, palette=self.palette)
        kind = type('LoadedSegmentor', (Loaded, MMSegInferencer), {})
        return kind(
            _without_backends(self.config),
            model,
            classes=self.classes,
            palette=self.palette,
            device=device,
        )

    def result(self, sample, score=0.3):
        return dict(labels=sample.pred_sem_seg.data[0].cpu().numpy())


KINDS = dict(zip(SCOPES, (Classifier, Detector, Segmentor)))


def load(
    config: Union[str, Path, Config],
    checkpoint: Union[str, Path],
    device: Optional[str] = None,
    trust: bool = False,
) -> Predictor:
    """Load a trained classifier, detector or segmentor.

    Whatever the config says of pretrained weights, nothing is fetched.

    Args:
        config (str | Path | Config): What it was trained with: a file, or
            a name of :func:`banet.list_models`.
        checkpoint (str | Path): Its weights, all of them.
        device (str | None): Such as ``'cuda:0'`` or ``'cpu'``. None takes
            what is there. Defaults to None.
        trust (bool): Run code in the checkpoint, if any. Defaults to False.

    Returns:
        Predictor: Call its :meth:`~Predictor.predict`; its ``model`` is the
        library's own.

    Raises:
        ConfigError: The config is missing, or of none of the three tasks.
        CheckpointError: The checkpoint is missing, damaged or of another
            config.
    """
    if not isinstance(config, Config):
        name = str(config)
        known = name.endswith(CONFIG_SUFFIXES) or Path(name).exists()
        config = load_config(name if known else str(find_config(name)))
    kind = KINDS.get(config.get('default_scope'))
    if kind is None:
        raise ConfigError(
            f'{config.filename} has default_scope='
            f'{config.get("default_scope")!r}, which names no library: set it '
            f'to one of {", ".join(SCOPES)}.'
        )
    config = copy.deepcopy(config)  # upstream changes it
    if not config.get('test_dataloader'):
        raise ConfigError(
            f'{config.filename} has no test_dataloader, whose pipeline says '
            'how the model sees an image.'
        )
    _unwrap(config)
    device = _check_device(device)
    try:
        with _scope(config), redirect_stdout(StringIO()):
            # mmdet and mmseg print a line on standard output
            model, meta = load_model(config, checkpoint, trust)
            return kind(config, model, meta, device)
    except ModuleNotFoundError as error:
        if error.name not in PIP:
            raise
        raise ConfigError(
            f'{config.filename} needs {error.name}: '
            f'pip install {PIP[error.name]}.'
        ) from error


def _scope(config):
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
    try:
        pixels = mmcv.imread(str(image))
    except (OSError, cv2.error) as error:
        raise SourceError(f'{image} cannot be read: {error}') from error
    if pixels is None:
        raise SourceError(f'{image} is no image that can be read.')
    return pixels


def _unwrap(config):
    """Leave one data set, whose pipeline upstream's inferencers look for."""
    loader = config.test_dataloader
    if isinstance(loader, list):
        loader = config.test_dataloader = loader[0]
    while 'dataset' in loader.dataset or 'datasets' in loader.dataset:
        inner = loader.dataset.get('dataset') or loader.dataset.datasets[0]
        loader.dataset = inner


def _check_device(device):
    device = device or get_device()
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA
        raise ConfigError(
            f'device {device!r} cannot be used here: '
            f'{str(error).splitlines()[0]}. This machine has '
            f'{get_device()!r}.'
        ) from error
    return device


def _without_backends(config):
    """The config for upstream's inferencers, whose pictures go nowhere."""
    config = Config(config._cfg_dict.to_dict(), filename=config.filename)
    kinds = dict(mmdet='DetLocalVisualizer', mmseg='SegLocalVisualizer')
    visualizer = config.get('visualizer') or {}
    config.visualizer = {
        'type': kinds[config.default_scope],
        'name': 'banet',
        **{
            key: visualizer[key]
            for key in ('alpha', 'line_width')
            if key in visualizer
        },
    }
    return config


def _classes(config, model, meta):
    """Names and colours: of the training, of the config, or numbers."""
    dataset = config.test_dataloader.dataset
    kind = DATASETS.get(dataset.type)
    trained = meta.get('dataset_meta') or meta
    found = {
        **getattr(kind, 'METAINFO', {}),
        **dataset.get('metainfo', {}),
        **{str(k).lower(): v for k, v in trained.items() if v},
    }
    count = _number_of_classes(model)
    classes = tuple(found.get('classes') or map(str, range(count or 0)))
    if count is not None and len(classes) != count:
        raise ConfigError(
            f'{config.filename}: its model predicts {count} classes, but '
            f'{len(classes)} names are known: '
            f'{", ".join(map(str, classes[:3]))}, ... Set num_classes in '
            "every head, and the dataset's metainfo."
        )
    colours = found.get('palette')
    if not isinstance(colours, list) or len(colours) != len(classes):
        colours = palette(len(classes))
    # Tuples: mmdet's visualizer does not take lists, which files have.
    return classes, [tuple(colour) for colour in colours]


def _number_of_classes(model):
    """num_classes of the head that decides, None if it does not say."""
    for path in (
        'roi_head.bbox_head',
        'bbox_head',
        'decode_head',
        'head',
    ):
        head = model
        for name in path.split('.'):
            head = getattr(head, name, None)
        if isinstance(head, torch.nn.ModuleList):  # a cascade
            head = head[-1]
        if hasattr(head, 'num_classes'):
            return head.num_classes
    return None
