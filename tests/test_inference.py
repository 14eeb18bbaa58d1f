"""banet.load and tools/predict.py: the libraries' own results, for all."""

import json

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from PIL import Image
from pycocotools.coco import COCO
from runs import ROOT, TASKS, tool

import banet
from banet.config import ConfigError, load_config
from banet.files import CheckpointError
from banet.inference import load
from banet.outfolder import OutFolder, OutputError
from banet.predictions import Clip, predict_to
from banet.sources import open_source, SourceError

VAL = ROOT / 'data/nuclei_mini/images/val'
IMAGES = [
    str(VAL / f'{n}.png') for n in ('003cee89357d9fe1', '3b957237bc1e0974')
]


@pytest.fixture(scope='module')
def predictors(checkpoints):
    return {
        task: banet.load(config, checkpoints[task], 'cpu')
        for task, (config, _) in TASKS.items()
    }


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


def test_segmentor_predicts_what_upstream_does(predictors, checkpoints):
    from mmseg.apis import MMSegInferencer

    upstream = MMSegInferencer(
        str(TASKS['seg'][0]), str(checkpoints['seg']), device='cpu'
    )
    found = predictors['seg'].predict(IMAGES[0])[0]['labels']
    assert np.array_equal(found, upstream(IMAGES[0])['predictions'])


@pytest.mark.parametrize('task', TASKS)
def test_batches_of_mixed_sizes_change_nothing(predictors, task):
    """Rounding of larger batches aside; mmdet pads, so only sizes are told."""
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
        # Two alike are padded alike; of an untrained network's boxes, which
        # nearly tie, rounding changes the order, not the best scores.
        best = [together[i]['scores'][:5] for i in (1, 2)]
        assert best[0] == pytest.approx(best[1], rel=1e-3)


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


@pytest.mark.parametrize('task', TASKS)
def test_pictures_and_json_are_written(predictors, tmp_path, task):
    source = open_source(f'{VAL}/[03]*57*.png')
    path = predict_to(predictors[task], source, OutFolder(tmp_path), 0.0)
    content = json.loads(path.read_text())
    assert len(source) == len(content['images']) == 2
    assert content['skipped'] == []
    for entry in content['images']:
        image = cv2.imread(entry['file_name'])
        picture = cv2.imread(str(tmp_path / entry['picture']))
        assert picture.shape == image.shape
        assert (picture != image).any()


def test_json_of_a_detector_is_cocos(predictors, tmp_path):
    source = open_source(IMAGES[0])
    path = predict_to(predictors['det'], source, OutFolder(tmp_path), 0.0)
    coco = COCO(path)
    result = predictors['det'].predict(IMAGES[0], score=0)[0]
    assert coco.loadCats(1)[0]['name'] == 'nucleus'
    annotations = coco.loadAnns(coco.getAnnIds(imgIds=1))
    assert len(annotations) == len(result['boxes'])
    for annotation, box, mask in zip(
        annotations, result['boxes'], result['masks']
    ):
        x, y, w, h = annotation['bbox']
        assert [x, y, x + w, y + h] == pytest.approx(box.tolist(), abs=1e-3)
        assert np.array_equal(coco.annToMask(annotation), mask)
    # As results beside annotations, too.
    results = coco.loadRes(json.loads(path.read_text())['annotations'])
    assert len(results.anns) == len(annotations)


def test_label_png_holds_the_labels(predictors, tmp_path):
    source = open_source(IMAGES[0])
    path = predict_to(predictors['seg'], source, OutFolder(tmp_path))
    entry = json.loads(path.read_text())['images'][0]
    written = np.asarray(Image.open(tmp_path / entry['label']))
    labels = predictors['seg'].predict(IMAGES[0])[0]['labels']
    assert np.array_equal(written, labels)
    assert entry['share'].get('nucleus', 0) == (labels == 1).mean()


def test_video_becomes_a_video(predictors, tmp_path):
    frames = [cv2.imread(image) for image in IMAGES]
    size = (frames[0].shape[1], frames[0].shape[0])
    writer = cv2.VideoWriter(
        str(tmp_path / 'clip.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 5, size
    )
    for frame in frames:
        writer.write(cv2.resize(frame, size))
    writer.release()
    source = open_source(tmp_path / 'clip.avi')
    path = predict_to(
        predictors['seg'], source, OutFolder(tmp_path / 'out'), batch_size=2
    )
    content = json.loads(path.read_text())
    assert [entry['frame'] for entry in content['images']] == [0, 1]
    reader = cv2.VideoCapture(str(tmp_path / 'out/pictures/clip.mp4'))
    assert reader.get(cv2.CAP_PROP_FRAME_COUNT) == 2
    assert reader.get(cv2.CAP_PROP_FPS) == 5


def test_broken_off_video_is_not_left(tmp_path):
    with pytest.raises(RuntimeError), Clip(tmp_path / 'clip.mp4', 5) as clip:
        clip.add(cv2.imread(IMAGES[0]))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_wrapped_test_set_is_unwrapped(predictors, checkpoints):
    config = load_config(str(TASKS['seg'][0]))
    loader = config.test_dataloader
    loader.dataset = dict(type='ConcatDataset', datasets=[loader.dataset])
    found = load(config, checkpoints['seg'], 'cpu').predict(IMAGES[0])[0]
    expected = predictors['seg'].predict(IMAGES[0])[0]
    assert np.array_equal(found['labels'], expected['labels'])


def test_names_of_pictures_are_unique(tmp_path):
    for name in ('a.png', 'a.jpg', 'sub/a.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), np.zeros((4, 4, 3), np.uint8))
    names = open_source(tmp_path).names
    assert sorted(names) == ['a_jpg', 'a_png', 'sub/a']


@pytest.mark.parametrize(
    'name,content,message',
    [
        ('nothing', None, 'nothing does not exist'),
        ('folder/', None, 'folder holds no image'),
        ('*.jpg', None, 'matches no image'),
        ('clip.mp4', b'no video at all', 'codec'),
    ],
)
def test_no_source_is_an_error(tmp_path, name, content, message):
    (tmp_path / 'folder').mkdir()
    if content:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        open_source(tmp_path / name)


def test_unreadable_images_are_skipped_counted_and_listed(
    checkpoints, tmp_path
):
    folder = tmp_path / 'images'
    folder.mkdir()
    whole = (VAL / '003cee89357d9fe1.png').read_bytes()
    (folder / 'good.png').write_bytes(whole)
    (folder / 'half.png').write_bytes(whole[: len(whole) // 2])
    (folder / 'text.png').write_text('no image')
    out = tmp_path / 'out'
    result = tool(
        'predict.py', TASKS['cls'][0], checkpoints['cls'], folder, '--out', out
    )
    assert result.returncode == 1
    assert '2 skipped' in result.stderr
    assert 'half.png' in result.stderr and 'text.png' in result.stderr
    content = json.loads((out / 'predictions.json').read_text())
    assert len(content['images']) == 1
    assert len(content['skipped']) == 2


def test_checkpoint_of_another_config_is_refused(checkpoints, tmp_path):
    out = tmp_path / 'out'
    result = tool(
        'predict.py',
        TASKS['seg'][0],
        checkpoints['det'],
        IMAGES[0],
        '--out',
        out,
    )
    assert result.returncode == 1
    assert 'does not fit' in result.stderr
    assert 'decode_head' in result.stderr
    assert 'Traceback' not in result.stderr
    assert not out.exists()


def test_folder_with_files_is_refused(tmp_path):
    (tmp_path / 'mine.txt').write_text('mine')
    with pytest.raises(OutputError, match='--force'):
        OutFolder(tmp_path)
    OutFolder(tmp_path, force=True)
    assert (tmp_path / 'mine.txt').read_text() == 'mine'


def test_weights_are_never_fetched(checkpoints):
    """Where they are named, a fetch would fail: there is no such host."""
    config = load_config(str(TASKS['cls'][0]))
    config.model.backbone.init_cfg = dict(
        type='Pretrained', checkpoint='https://nowhere.invalid/x.pth'
    )
    result = load(config, checkpoints['cls'], 'cpu').predict(IMAGES[0])
    assert len(result[0]['top']) == 5


def test_device_that_is_not_there_is_named(checkpoints):
    if torch.cuda.is_available():
        pytest.skip('this machine has a GPU')
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
