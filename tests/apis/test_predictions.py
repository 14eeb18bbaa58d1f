"""What tools/predict.py writes, skips and refuses."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from runs import IMAGES, TASKS, tool, VAL

from banet.apis.predictions import Clip, predict_to
from banet.data.sources import open_source
from banet.utils.outfolder import OutFolder


@pytest.mark.slow
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


@pytest.mark.slow
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


def test_pictures_have_the_colours_of_the_image(predictors):
    blue = np.zeros((64, 64, 3), np.uint8)
    blue[..., 0] = 255  # BGR, as OpenCV has it
    (sample,) = predictors['cls'].samples([blue], 1)
    picture = predictors['cls'].draw(blue, sample, 0.3)
    means = picture.mean((0, 1))
    assert means[0] > 2 * means[2]


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


@pytest.mark.slow
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


@pytest.mark.slow
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
