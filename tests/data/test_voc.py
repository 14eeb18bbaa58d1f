"""Pascal VOC's xml files get the same rows as COCO's json."""

import pytest
from mmengine.config import Config
from PIL import Image
from small_data import found

from banet.data import check_data
from banet.data.voc import check_voc

OBJECT = (
    '<object><name>{name}</name><bndbox><xmin>{0}</xmin><ymin>{1}</ymin>'
    '<xmax>{2}</xmax><ymax>{3}</ymax></bndbox><difficult>0</difficult>'
    '</object>'
)
GOOD = OBJECT.format(5, 5, 25, 15, name='bolt')


@pytest.fixture
def check(tmp_path):
    """Check a VOC folder of one image, with these objects in its xml."""

    def call(objects, classes=('bolt',), xml=None, **kwargs):
        root = tmp_path / 'VOC2007'
        for name in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
            (root / name).mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (60, 40)).save(root / 'JPEGImages/a.jpg')
        (root / 'ImageSets/Main/train.txt').write_text('a\n')
        (root / 'Annotations/a.xml').write_text(
            '<annotation><size><width>60</width><height>40</height></size>'
            f'{objects}</annotation>'
            if xml is None
            else xml
        )
        dataset = dict(
            type='VOCDataset',
            data_root=str(tmp_path),
            ann_file='VOC2007/ImageSets/Main/train.txt',
            data_prefix=dict(sub_data_root='VOC2007/'),
            metainfo=dict(classes=classes),
            pipeline=[dict(type='LoadImageFromFile')],
            **kwargs,
        )
        loader = dict(dataset=dataset)
        return check_data(
            Config(
                dict(
                    default_scope='mmdet',
                    model=dict(),
                    train_dataloader=loader,
                )
            )
        )

    return call


def test_good_file_is_fit(check):
    assert not check(GOOD).problems


@pytest.mark.parametrize(
    'objects,kind',
    [
        (GOOD + OBJECT.format(5, 5, 5, 15, name='bolt'), 'degenerate box'),
        (
            GOOD + OBJECT.format(70, 5, 90, 15, name='bolt'),
            'box outside the image',
        ),
        (
            GOOD + OBJECT.format(5, 5, 25, 15, name='nut'),
            'category that the config has not',
        ),
        (OBJECT.format(5, 5, 25, 15, name='nut'), 'class without objects'),
        (GOOD.replace('>25<', '>x<'), 'box that is none'),
        (GOOD.replace('<name>bolt</name>', ''), 'object without name'),
        (GOOD.replace('>0<', '>Unspecified<'), 'difficult that is no number'),
    ],
)
def test_what_is_wrong_with_an_object_is_named(objects, kind, check):
    assert kind in found(check(objects), 'error', 'lost')


@pytest.mark.parametrize(
    'objects,limits,lost,notes',
    [
        (GOOD, dict(min_size=40), set(), set()),
        (GOOD, dict(min_size=41), {'small image'}, set()),
        (GOOD, dict(bbox_min_size=10), set(), set()),
        (
            GOOD,
            dict(bbox_min_size=11),
            {'class without objects'},
            {'small box'},
        ),
        # Upstream takes 14.6 - 5.9 for 9.
        (
            OBJECT.format(5.9, 5.9, 25, 14.6, name='bolt'),
            dict(bbox_min_size=9),
            set(),
            set(),
        ),
        (
            OBJECT.format(5, 34, 25, 43, name='bolt'),
            dict(bbox_min_size=10),
            {'class without objects'},
            {'small box', 'box beyond the border'},
        ),
        (GOOD.replace('>0<', '>1<'), {}, {'class without objects'}, set()),
    ],
)
def test_what_training_ignores_is_named(objects, limits, lost, notes, check):
    big = OBJECT.format(0, 0, 60, 40, name='nut')
    report = check(objects + big, ('bolt', 'nut'), filter_cfg=limits)
    assert found(report, 'error', 'lost') - {'no images'} == lost
    assert found(report, 'note') == notes


def test_size_that_is_no_number_is_named(check):
    xml = '<annotation><size><width>wide</width><height>40</height></size>'
    kinds = found(check('', xml=f'{xml}{GOOD}</annotation>'), 'error')
    assert 'size that is no number' in kinds


def test_names_may_have_spaces(check, tmp_path):
    check(GOOD)
    root = tmp_path / 'VOC2007'
    for name in ('JPEGImages/a.jpg', 'Annotations/a.xml'):
        path = root / name
        path.rename(path.with_name(f'an image{path.suffix}'))
    listed = str(root / 'ImageSets/Main/train.txt')
    (root / 'ImageSets/Main/train.txt').write_text('an image\n')
    folder = f'{root}/'
    assert not check_voc(folder, listed, 'Annotations', ['bolt'], False, {})


def test_damaged_and_missing_files_are_named(check):
    kinds = found(check('', xml='<annotation>'), 'error')
    assert 'damaged annotation file' in kinds
