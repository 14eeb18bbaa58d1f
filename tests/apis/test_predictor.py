"""A loaded predictor gives what the libraries give."""

import cv2
import numpy as np
import PIL.Image
import pytest
import torch
from mmengine.registry import init_default_scope
from pycocotools import mask as rle
from runs import IMAGES, TASKS

from banet.apis.config import ConfigError, load_config
from banet.apis.inference import load
from banet.apis.predictor import read_image
from banet.bridge.deploy import FoldedAttention
from banet.utils.errors import CheckpointError


def test_classes_are_those_of_the_training(predictors):
    for task, (_, classes) in TASKS.items():
        assert predictors[task].classes == classes


def test_classifier_predicts_what_upstream_does(predictors, checkpoints):
    from mmpretrain import ImageClassificationInferencer

    init_default_scope('mmpretrain')
    upstream = ImageClassificationInferencer(
        str(TASKS['cls'][0]), str(checkpoints['cls']), device='cpu'
    )
    for image, result in zip(IMAGES, predictors['cls'].predict(IMAGES)):
        scores = upstream(image)[0]['pred_scores']
        order = np.argsort(-scores)[:5]
        assert [entry['label'] for entry in result['top']] == order.tolist()
        assert [e['score'] for e in result['top']] == scores[order].tolist()
        names = [predictors['cls'].classes[i] for i in order]
        assert [entry['class'] for entry in result['top']] == names


def test_detector_predicts_what_upstream_does(predictors, checkpoints):
    from mmdet.apis import DetInferencer

    upstream = DetInferencer(
        str(TASKS['det'][0]),
        str(checkpoints['det']),
        device='cpu',
        show_progress=False,
    )
    expected = upstream(IMAGES[0], no_save_vis=True)['predictions'][0]
    found = predictors['det'].predict(IMAGES[0], score=0)[0]
    assert len(found['boxes']) == len(found['masks']) > 0
    assert found['scores'].tolist() == expected['scores']
    assert found['boxes'].tolist() == expected['bboxes']
    assert found['labels'].tolist() == expected['labels']
    for mask, theirs in zip(found['masks'], expected['masks'], strict=True):
        assert np.array_equal(mask, rle.decode(theirs))


def test_segmentor_predicts_what_upstream_does(predictors, checkpoints):
    from mmseg.apis import MMSegInferencer

    upstream = MMSegInferencer(
        str(TASKS['seg'][0]), str(checkpoints['seg']), device='cpu'
    )
    found = predictors['seg'].predict(IMAGES[0])[0]['labels']
    assert np.array_equal(found, upstream(IMAGES[0])['predictions'])


@pytest.mark.slow
@pytest.mark.parametrize('task', TASKS)
def test_batches_of_mixed_sizes_change_nothing(predictors, task):
    """Rounding of larger batches aside; mmdet pads those of mixed sizes."""
    small = cv2.imread(IMAGES[0])[:128, :192]
    images = [IMAGES[0], small, small, IMAGES[1]]
    together = predictors[task].predict(images, batch_size=3, score=0)
    alone = predictors[task].predict(images, batch_size=1, score=0)
    assert len(together) == 4
    for a, b in zip(together, alone):
        if task == 'cls':
            scores = [[e['score'] for e in r['top']] for r in (a, b)]
            assert scores[0] == pytest.approx(scores[1], rel=1e-4)
        elif task == 'seg':
            assert (a['labels'] == b['labels']).mean() > 0.999
        else:
            assert a['masks'].shape[1:] == b['masks'].shape[1:]
    if task == 'det':
        # Two alike are not padded. Of an untrained network's boxes, which
        # nearly tie, rounding changes the order, not the best scores.
        pair = predictors[task].predict([small, small], batch_size=2, score=0)
        best = [found['scores'][:5] for found in (alone[1], *pair)]
        assert best[1] == pytest.approx(best[0], rel=1e-3)
        assert best[2] == pytest.approx(best[0], rel=1e-3)


def test_array_and_file_give_the_same(predictors):
    image = cv2.imread(IMAGES[0])
    a, b = predictors['seg'].predict([image, IMAGES[0]])
    assert np.array_equal(a['labels'], b['labels'])


@pytest.mark.parametrize(
    'image,message',
    [
        ('nothing.png', 'nothing.png'),
        (np.zeros((8, 8), np.uint8), r'shape \(8, 8\)'),
        (np.zeros((8, 8, 3)), 'type float64'),
    ],
)
def test_what_is_no_image_is_named(predictors, image, message):
    with pytest.raises(ValueError, match=message):
        predictors['cls'].predict(image)


def test_image_of_pillow_is_read_as_its_file_is(tmp_path):
    """Upright, and 16 bits scaled to 8."""
    pixels = np.arange(600).reshape(20, 30)
    turned = PIL.Image.Exif()
    turned[0x0112] = 6
    deep = PIL.Image.fromarray((pixels * 100).astype(np.uint16))
    deep.save(tmp_path / 'deep.png')
    flat = PIL.Image.fromarray((pixels % 256).astype(np.uint8))
    flat.save(tmp_path / 'turned.png', exif=turned)
    for name in ('deep.png', 'turned.png'):
        opened = PIL.Image.open(tmp_path / name)
        np.testing.assert_array_equal(
            read_image(opened), read_image(tmp_path / name)
        )


def test_wrapped_test_set_is_unwrapped(predictors, checkpoints):
    config = load_config(str(TASKS['seg'][0]))
    loader = config.test_dataloader
    loader.dataset = dict(type='ConcatDataset', datasets=[loader.dataset])
    found = load(config, checkpoints['seg'], 'cpu').predict(IMAGES[0])[0]
    expected = predictors['seg'].predict(IMAGES[0])[0]
    assert np.array_equal(found['labels'], expected['labels'])


def test_weights_are_never_fetched(checkpoints):
    """Where they are named, a fetch would fail: there is no such host."""
    config = load_config(str(TASKS['cls'][0]))
    config.model.backbone.init_cfg = dict(
        type='Pretrained', checkpoint='https://nowhere.invalid/x.pth'
    )
    result = load(config, checkpoints['cls'], 'cpu').predict(IMAGES[0])
    assert len(result[0]['top']) == 5


def test_device_that_is_not_there_is_named(checkpoints):
    with pytest.raises(ConfigError, match="device 'cuda:0'"):
        load(TASKS['cls'][0], checkpoints['cls'], 'cuda:0')


def test_names_that_do_not_fit_the_head_are_refused(checkpoints, tmp_path):
    weights = torch.load(checkpoints['seg'], weights_only=True)
    weights['meta']['dataset_meta']['classes'] = ('a', 'b', 'c')
    torch.save(weights, tmp_path / 'x.pth')
    with pytest.raises(ConfigError, match='2 classes, but 3 names'):
        load(TASKS['seg'][0], tmp_path / 'x.pth', 'cpu')


def test_damaged_checkpoint_is_named(tmp_path):
    (tmp_path / 'x.pth').write_text('nothing')
    with pytest.raises(CheckpointError, match='x.pth is not a checkpoint'):
        load(TASKS['cls'][0], tmp_path / 'x.pth')


@pytest.mark.slow
def test_folded_network_predicts_the_same(checkpoints):
    config, checkpoint = TASKS['cls'][0], checkpoints['cls']
    folded = load(config, checkpoint, 'cpu', deploy=True)
    kinds = {type(b.attention) for _, b in folded.model.backbone.blocks()}
    assert kinds == {FoldedAttention}
    (found,) = folded.predict(IMAGES[0])
    (expected,) = load(config, checkpoint, 'cpu').predict(IMAGES[0])
    for one, other in zip(found['top'], expected['top'], strict=True):
        assert one['label'] == other['label']
        assert one['score'] == pytest.approx(other['score'], rel=1e-4)
