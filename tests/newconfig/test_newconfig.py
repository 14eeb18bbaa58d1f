"""tools/new_config.py: what it writes trains, and says what does not fit."""

import json

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from new_config_options import options
from PIL import Image
from runs import FEW_BOXES, NUCLEI, ROOT, tool

from banet.apis.model import build_model
from banet.newconfig import make_config, NewConfigError
from banet.utils.errors import CheckpointError

DET = dict(
    task='det',
    model='mask-rcnn',
    depth='r50',
    data=NUCLEI / 'annotations/train.json',
    images=NUCLEI / 'images/train',
    val_data=NUCLEI / 'annotations/val.json',
    val_images=NUCLEI / 'images/val',
)


def make(out, **changes):
    return Config.fromfile(make_config(options(out, **changes)))


def train(path, tmp_path, *changes):
    """The real command, for two iterations and a validation."""
    result = tool(
        'train.py', path, '--work-dir', tmp_path / 'run', '--cfg-options',
        'train_dataloader.num_workers=0', 'val_dataloader.num_workers=0',
        'train_dataloader.persistent_workers=False',
        'val_dataloader.persistent_workers=False', *changes,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    (line,) = next(tmp_path.glob('run/*/vis_data/*.json')).parent.glob(
        'scalars.json'
    )
    return [json.loads(text) for text in line.read_text().splitlines()]


@pytest.mark.slow
def test_detector_of_the_nuclei_trains_at_once(tmp_path):
    cfg = make(tmp_path / 'my.py', **DET)
    heads = cfg.model.roi_head
    assert heads.bbox_head.num_classes == heads.mask_head.num_classes == 1
    assert cfg.train_dataloader.dataset.metainfo.classes == ['nucleus']
    # Upstream's 0.02 is for 16 images.
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(0.02 * 2 / 16)
    assert cfg.auto_scale_lr.base_batch_size == 2
    entries = train(
        tmp_path / 'my.py',
        tmp_path,
        'train_cfg.max_epochs=1',
        'train_dataloader.dataset.indices=4',
        'val_dataloader.dataset.indices=2',
        'train_dataloader.dataset.pipeline.2.scale=(128,128)',
        'val_dataloader.dataset.pipeline.1.scale=(128,128)',
        *FEW_BOXES,
        'default_hooks.logger.interval=1',
    )
    assert [e['loss'] > 0 for e in entries if 'loss' in e] == [True, True]
    assert 'coco/segm_mAP' in entries[-1]


@pytest.mark.slow
def test_classifier_of_the_digits_trains_at_once(digits, tmp_path):
    cfg = make(
        tmp_path / 'my.py', task='cls', model='resnet', depth='r18',
        data=digits, batch=4,
    )  # fmt: skip
    assert cfg.model.head.num_classes == 10
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(0.1 * 4 / 256)
    entries = train(
        tmp_path / 'my.py',
        tmp_path,
        'train_cfg.max_epochs=1',
        'train_dataloader.dataset.indices=8',
        'default_hooks.logger.interval=1',
    )
    assert sum('loss' in e for e in entries) == 2
    assert 'accuracy/top5' in entries[-1]


@pytest.mark.slow
def test_segmentor_trains_at_once(tmp_path):
    (tmp_path / 'classes.txt').write_text('background 0 0 0\nnucleus 9 9 9\n')
    cfg = make(
        tmp_path / 'my.py', task='seg', model='upernet', depth='r50',
        data=NUCLEI / 'images/train', labels=NUCLEI / 'labels/train',
        classes=tmp_path / 'classes.txt',
    )  # fmt: skip
    assert cfg.model.decode_head.num_classes == 2
    assert cfg.model.auxiliary_head.num_classes == 2
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(0.01 * 2 / 16)
    entries = train(
        tmp_path / 'my.py',
        tmp_path,
        'train_cfg.max_iters=2',
        'train_cfg.val_interval=2',
        'train_dataloader.dataset.pipeline.3.crop_size=(96,96)',
        'train_dataloader.dataset.pipeline.6.size=(96,96)',
        'val_dataloader.dataset.pipeline.1.scale=(128,96)',
        'val_dataloader.dataset.indices=2',
        'model.data_preprocessor.size=(96,96)',
        'default_hooks.logger.interval=1',
    )
    assert sum('loss' in e for e in entries) == 2
    assert 'mIoU' in entries[-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    'task,model,heads',
    [
        ('det', 'cascade-mask-rcnn', 4),
        ('det', 'retinanet', 1),
        ('seg', 'deeplabv3plus', 2),
        ('seg', 'fcn', 2),
    ],
)
def test_every_head_gets_the_classes(tmp_path, task, model, heads):
    (tmp_path / 'classes.txt').write_text('background 0 0 0\nnucleus 9 9 9\n')
    data = (
        DET
        if task == 'det'
        else dict(
            data=NUCLEI / 'images/train',
            labels=NUCLEI / 'labels/train',
            classes=tmp_path / 'classes.txt',
        )
    )
    data = {**data, 'task': task, 'model': model, 'depth': 'r50'}
    cfg = make(tmp_path / 'my.py', **data)
    expected = 1 if task == 'det' else 2
    found = [
        m.num_classes
        for name, m in build_model(cfg).named_modules()
        if hasattr(m, 'num_classes')
        and 'rpn' not in name
        and 'loss' not in name
    ]
    # Losses and wrapped layers know the number, too.
    assert len(found) >= heads and set(found) == {expected}
    if task == 'seg':
        assert cfg.train_dataloader.dataset.metainfo.palette[1] == (9, 9, 9)


def test_whole_names_reach_the_other_families(tmp_path):
    name = 'mask-rcnn_ba-swin-t-p4-w7_fpn_1x_coco'
    cfg = make(tmp_path / 'my.py', **{**DET, 'model': name, 'depth': None})
    assert cfg.model.backbone.type == 'BASwinTransformer'
    assert cfg.model.roi_head.mask_head.num_classes == 1


def test_nothing_is_frozen_without_weights(tmp_path):
    cfg = make(tmp_path / 'my.py', **DET)  # weights='none'
    assert cfg.model.backbone.frozen_stages == -1
    assert cfg.model.backbone.norm_eval is False
    # What mmpretrain's class would draw them by, where the base fetches some.
    drawn = cfg.model.backbone.init_cfg
    assert drawn[0] == dict(type='Kaiming', layer=['Conv2d'])
    backbone = build_model(cfg).backbone
    backbone.init_weights()
    conv = backbone.layer1[0].conv2.weight  # (64, 64, 3, 3), He by its outputs
    assert conv.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)


def coco(tmp_path, change):
    content = json.loads((NUCLEI / 'annotations/train.json').read_text())
    change(content)
    path = tmp_path / 'x.json'
    path.write_text(json.dumps(content))
    return path


def two(ids):
    return [dict(id=i, name=f'class {i}') for i in ids]


@pytest.mark.parametrize(
    'change,message',
    [
        (lambda c: c.pop('categories'), 'has no categories'),
        (lambda c: c.update(annotations=[]), 'has no annotations'),
        (lambda c: c.update(categories=two([2, 1])), 'ids .* out of order'),
        (lambda c: c.update(categories=two([1, 1])), 'the id 1; give each'),
        (lambda c: c.update(categories=[{'id': 1}]), 'has no id or no name'),
        (
            lambda c: c['annotations'][0].update(category_id=7),
            'category_id 7, which is none',
        ),
        (
            lambda c: c['images'][0].update(file_name='gone.png'),
            '1 of 48 images .* gone.png',
        ),
        (
            lambda c: [a.pop('segmentation') for a in c['annotations']],
            'take a model without masks',
        ),
        (
            lambda c: [a.update(ignore=1) for a in c['annotations']],
            'whose objects all are lost: .* it has ignore: 1',
        ),
        (
            lambda c: c['annotations'].append(dict(id=9999, image_id=77)),
            'category_id=None: pycocotools stops there',
        ),
    ],
)
def test_what_is_wrong_with_annotations_is_named(tmp_path, change, message):
    out = tmp_path / 'my.py'
    with pytest.raises(NewConfigError, match=message):
        make(out, **{**DET, 'data': coco(tmp_path, change)})
    assert not out.exists()


def test_option_of_validation_data_that_is_not_given_is_named(tmp_path):
    out = tmp_path / 'my.py'
    with pytest.raises(NewConfigError, match=r'--val-images .* --val-data'):
        make(out, **{**DET, 'val_data': None})
    seg = dict(task='seg', model='upernet', depth='r50', data=tmp_path)
    with pytest.raises(NewConfigError, match=r'--val-labels .* --val-data'):
        make(out, **seg, val_labels=tmp_path)
    assert not out.exists()


@pytest.mark.parametrize(
    'val_images,message',
    [
        ('nowhere', '--val-images nowhere '),
        (NUCLEI / 'images/train', 'images of .* are not in --val-images '),
        (None, 'images of .* are not in --images '),
    ],
)
def test_folder_of_validation_images_is_named_by_its_option(
    val_images, message, tmp_path
):
    with pytest.raises(NewConfigError, match=message):
        make(tmp_path / 'my.py', **{**DET, 'val_images': val_images})


def test_image_whose_label_mmseg_cannot_read_is_named(tmp_path, monkeypatch):
    """OpenCV reads an image that large, Pillow refuses its label."""
    Image.new('RGB', (8, 8)).save(tmp_path / 'a.jpg')
    Image.fromarray(np.eye(8, dtype=np.uint8)).save(tmp_path / 'a.png')
    (tmp_path / 'classes.txt').write_text('sky\nroad\n')
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 4)
    seg = dict(task='seg', model='upernet', depth='r50', data=tmp_path)
    with pytest.raises(NewConfigError, match=r'a.jpg .*cut it, and its label'):
        make(tmp_path / 'my.py', **seg)


def test_config_that_is_inherited_is_not_replaced():
    """Not even with --force."""
    (out,) = ROOT.glob('configs/detection/mask-rcnn_ba-r50_fpn_1x_coco.py')
    before = out.read_text()
    with pytest.raises(CheckpointError, match='both source and target'):
        make(out, **DET, force=True)
    assert out.read_text() == before


def test_users_own_annotations_are_not_overwritten(tmp_path):
    """By the copy whose ids count from 1, not even with --force."""
    val = coco(tmp_path, lambda c: c['annotations'][0].update(id=0))
    val = val.rename(tmp_path / 'my-val.json')
    before = val.read_text()
    with pytest.raises(NewConfigError, match='give --out another name'):
        make(
            tmp_path / 'my.py',
            **{
                **DET,
                'data': val,
                'val_data': val,
                'val_images': None,
                'force': True,
            },
        )
    assert val.read_text() == before


def test_last_label_is_looked_at_too(tmp_path):
    for i in range(60):
        Image.new('RGB', (8, 8)).save(tmp_path / f'{i:02}.jpg')
        Image.fromarray(np.eye(8, dtype=np.uint8)).save(
            tmp_path / f'{i:02}.png'
        )
    (tmp_path / 'classes.txt').write_text('sky\nroad\n')
    seg = dict(task='seg', model='upernet', depth='r50', data=tmp_path)
    Image.new('L', (8, 4)).save(tmp_path / '59.png')
    with pytest.raises(NewConfigError, match='59.png height and width'):
        make(tmp_path / 'my.py', **seg)


def test_what_is_wrong_with_labels_is_named(tmp_path):
    images, labels = tmp_path / 'images', tmp_path / 'labels'
    for folder in (images, labels):
        folder.mkdir()
    cv2.imwrite(str(images / 'a.png'), np.zeros((8, 8, 3), np.uint8))
    Image.fromarray(np.full((8, 8), 3, np.uint8)).save(labels / 'a.png')
    names = tmp_path / 'names.txt'
    names.write_text('sky\nroad\n')
    seg = dict(
        task='seg', model='upernet', depth='r50',
        data=images, labels=labels, classes=names,
    )  # fmt: skip
    with pytest.raises(NewConfigError, match='has the values 3, but'):
        make(tmp_path / 'my.py', **seg)
    Image.new('RGB', (8, 8)).save(labels / 'a.png')
    with pytest.raises(NewConfigError, match='has 3 channels'):
        make(tmp_path / 'my.py', **seg)
    Image.new('L', (8, 8)).save(labels / 'a.png')
    cv2.imwrite(str(images / 'b.png'), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(NewConfigError, match='1 of 2 images have no label'):
        make(tmp_path / 'my.py', **seg)
    cv2.imwrite(str(images / 'c.jpg'), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(NewConfigError, match='mixes 2 .png, 1 .jpg'):
        make(tmp_path / 'my.py', **seg)
    with pytest.raises(NewConfigError, match='--classes is missing'):
        make(tmp_path / 'my.py', **{**seg, 'classes': None})


def test_options_that_do_not_fit_are_named(tmp_path):
    out = tmp_path / 'my.py'
    for changes, message in (
        (dict(model='yolo'), 'there are cascade-mask-rcnn r50'),
        (dict(depth='r77'), 'no det config of mask-rcnn r77'),
        (dict(images=None), '--images is missing'),
        (dict(batch=0), '--batch 0: both are at least 1'),
        (dict(out=tmp_path / 'my.txt'), 'must end in .py'),
        (dict(val_share=0.2), '--val-share is an option of cls, not of det'),
        (dict(labels='x'), '--labels is an option of seg, not of det'),
        (dict(weights='no.pth'), '--weights no.pth: checkpoint no.pth does n'),
    ):
        with pytest.raises(NewConfigError, match=message):
            make_config(options(**{'out': out, **DET, **changes}))
    assert list(tmp_path.iterdir()) == []
    out.write_text('mine')
    with pytest.raises(CheckpointError, match='--force'):
        make_config(options(out, **DET))
    assert out.read_text() == 'mine'
