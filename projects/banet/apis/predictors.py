"""Predictors of the three libraries, around their own inferencers."""

import numpy as np
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from ..data.sheet import LIBRARY_VISUALIZERS
from .config import ConfigError, SCOPES
from .predictor import Predictor

TOP = 5  # classes that a classifier names


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
        if 'pred_instances' not in sample:
            raise ConfigError(
                f'{self.config.filename} predicts panoptic maps and no '
                "objects: use mmdet's own demo/image_demo.py."
            )
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


def _without_backends(config):
    """The config for upstream's inferencers, whose pictures go nowhere."""
    config = Config(config._cfg_dict.to_dict(), filename=config.filename)
    visualizer = config.get('visualizer') or {}
    config.visualizer = {
        'type': LIBRARY_VISUALIZERS[config.default_scope],
        'name': 'banet',
        **{
            key: visualizer[key]
            for key in ('alpha', 'line_width')
            if key in visualizer
        },
    }
    return config
