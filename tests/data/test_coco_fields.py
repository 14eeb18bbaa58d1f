"""Every field that mmdet or the evaluator reads is looked at."""

import pytest
from small_data import box, coco, DET, found

from banet.data.coco import form_of, read_coco
from banet.data.coco_masks import BAD, EMPTY, shape_of, SHORT

HEIGHT, WIDTH = 40, 60
APART = 'mask outside of its box'


@pytest.mark.parametrize(
    'key,field,values',
    [
        ('images', 'id', [None, True, [1], {}, '']),
        ('images', 'width', [None, '60', 60.5, 0, -1, float('nan')]),
        ('images', 'height', [None, '40', 40.5, 0, True]),
        ('images', 'file_name', [None, 7, '', 'a\\b.png']),
        ('categories', 'id', [None, [], float('inf')]),
        ('categories', 'name', [None, 1, 1.5, '', ['nucleus']]),
    ],
)
def test_wrong_value_of_an_entry_is_named_with_it(key, field, values, data):
    for value in values:
        content = coco()
        content[key][0][field] = value
        data.write(content)
        path = str(data.root / 'annotations/train.json')
        read, problems = read_coco(path, False)
        assert read is None
        (problem,) = problems
        assert problem.kind == f'{key} with a wrong value'
        assert f'{field}={value!r}' in problem.text


@pytest.mark.parametrize(
    'change,kind,severity',
    [
        (dict(id=None), 'annotation id that is no number', 'error'),
        (dict(id='1'), 'annotation id that is no number', 'error'),
        (dict(image_id=None), 'annotation of no image', 'error'),
        (dict(image_id=[0]), 'annotation of no image', 'error'),
        (dict(image_id=7), 'annotation of no image', 'lost'),
        (dict(category_id=None), 'annotation of no category', 'error'),
        (dict(category_id=[1]), 'annotation of no category', 'error'),
        (dict(category_id='one'), 'annotation of no category', 'lost'),
        (dict(bbox='5 5 20 10'), 'box that is none', 'error'),
        (dict(bbox=[5, 5, '20', 10]), 'box that is none', 'error'),
        (dict(bbox=[5, 5, 20]), 'box that is none', 'error'),
        (dict(area=None), 'area that is no number', 'error'),
        (dict(area='200'), 'area that is no number', 'error'),
        (dict(area=0), 'degenerate box', 'lost'),
        (dict(iscrowd=None), 'iscrowd that is neither 0 nor 1', 'error'),
        (dict(iscrowd='0'), 'iscrowd that is neither 0 nor 1', 'error'),
        (dict(iscrowd=2), 'iscrowd that is neither 0 nor 1', 'error'),
        (dict(iscrowd=1), 'only crowd objects', 'lost'),
        (dict(segmentation=None), 'object without mask', 'error'),
        (dict(segmentation=[]), 'object without mask', 'error'),
        (dict(segmentation=[5, 5, 25, 5, 25, 15]), BAD, 'error'),
        (dict(segmentation=[[5, 5, 25, 15]]), SHORT, 'lost'),
        (
            dict(segmentation=dict(size=[40, 50], counts=[2000])),
            'mask of another size',
            'error',
        ),
        (
            dict(segmentation=dict(size=[HEIGHT, WIDTH], counts=[5])),
            BAD,
            'error',
        ),
        (
            dict(segmentation=dict(size=[HEIGHT, WIDTH], counts=[2400])),
            EMPTY,
            'error',
        ),
        (dict(segmentation=[[5, 5, 5, 5, 5, 5]]), EMPTY, 'error'),
        (dict(segmentation=[[0.1, 0.1, 0.5, 0.1, 0.5, 0.4]]), APART, 'error'),
        (dict(segmentation=[[905, 5, 925, 5, 925, 15]]), APART, 'error'),
        (dict(ignore=1), 'annotation to ignore', 'lost'),
    ],
)
def test_wrong_value_of_an_annotation_is_named(change, kind, severity, data):
    data.write(coco(annotations=[box(**change)]))
    assert kind in found(data.check(DET), severity)


@pytest.mark.parametrize(
    'field,kind',
    [
        ('id', 'annotation without id'),
        ('area', 'annotation without area'),
        ('segmentation', 'object without mask'),
        ('bbox', 'box that is none'),
    ],
)
def test_missing_field_of_an_annotation_is_named(field, kind, data):
    annotation = box()
    del annotation[field]
    data.write(coco(annotations=[annotation]))
    assert kind in found(data.check(DET), 'error')


def test_missing_crowd_is_an_error_where_results_are_measured(data):
    """mmdet trains without it, pycocotools stops."""
    annotation = box()
    del annotation['iscrowd']
    for split, severity in (('train', 'note'), ('val', 'error')):
        data.write(coco(annotations=[annotation]), split)
        report = data.check(DET)
        assert 'annotation without iscrowd' in found(report, severity)


def test_id_zero_is_an_error_where_results_are_measured(data):
    """pycocotools takes it for "no match"."""
    data.write(coco(annotations=[box(0)]), 'train')
    assert 'annotation id below 1' in found(data.check(DET), 'note')
    data.write(coco(annotations=[box(0)]), 'val')
    assert 'annotation id below 1' in found(data.check(DET), 'error')


@pytest.mark.parametrize('key', ['images', 'categories'])
def test_ids_of_two_kinds_cannot_be_sorted(key, data):
    content = coco()
    content[key].append({**content[key][0], 'id': 'x', 'name': 'other'})
    data.write(content)
    assert f'{key} of two kinds' in found(data.check(DET), 'error')


@pytest.mark.parametrize('option', ['val_evaluator', 'test_evaluator'])
def test_evaluator_compares_with_the_images_own_file(option, data):
    """Else it measures against other objects, or stops after an epoch."""
    for path, kind in (
        ('nowhere.json', 'missing annotation file'),
        (data.root / 'annotations/train.json', 'evaluator of another file'),
    ):
        report = data.check(DET, **{f'{option}.ann_file': str(path)})
        assert kind in found(report, 'error')


@pytest.mark.parametrize('names', ['nucleus', '/no/file.txt'])
def test_one_text_is_no_list_of_classes(names, data):
    options = {'train_dataloader.dataset.metainfo.classes': names}
    report = data.check(DET, **options)
    (text,) = (
        p.text
        for _, p in report.problems
        if p.kind == 'class list that is one text'
    )
    assert f'write classes=({names!r},)' in text


def test_classes_may_be_a_file_of_names(data, tmp_path):
    path = tmp_path / 'names.txt'
    path.write_text('nucleus\n')
    options = {
        f'{split}_dataloader.dataset.metainfo.classes': str(path)
        for split in ('train', 'val')
    }
    assert not data.check(DET, **options).failed


def test_text_and_numbers_as_ids_get_a_hint(data):
    data.write(coco(annotations=[box(image_id='0')]))
    texts = [p.text for _, p in data.check(DET).problems]
    assert any('(but 0: one is text, the other a number)' in t for t in texts)


def test_class_without_objects_is_lost_in_training_alone(data):
    two = [dict(id=1, name='nucleus'), dict(id=2, name='debris')]
    options = {
        f'{split}_dataloader.dataset.metainfo.classes': ('nucleus', 'debris')
        for split in ('train', 'val')
    }
    for split in ('train', 'val'):
        data.write(coco(categories=two), split)
    report = data.check(DET, **options)
    kinds = [
        (split, p.severity)
        for split, p in report.problems
        if p.kind == 'class without objects'
    ]
    assert kinds == [('train', 'lost'), ('val', 'note')]


BOXES = [(5, 5, 20, 10), (30, 10, 25, 20), (2, 20, 30, 15), (40, 5, 15, 30)]


@pytest.mark.parametrize(
    'convert,form',
    [
        (lambda x, y, w, h: [x, y, x + w, y + h], '[x1, y1, x2, y2]'),
        (lambda x, y, w, h: [y, x, h, w], '[y, x, height, width]'),
        (
            lambda x, y, w, h: [x / WIDTH, y / HEIGHT, w / WIDTH, h / HEIGHT],
            'shares of the image',
        ),
    ],
)
def test_boxes_of_another_form_are_told_from_careless_ones(
    convert, form, data
):
    boxes = [convert(*b) for b in BOXES * 3]
    annotations = [box(i, bbox=b) for i, b in enumerate(boxes, 1)]
    data.write(coco(annotations=annotations))
    report = data.check(DET)
    (text,) = [
        p.text for _, p in report.problems if p.kind == 'boxes of another form'
    ]
    assert form in text


def test_careless_boxes_are_no_other_form(data):
    annotations = [box(i, bbox=list(b)) for i, b in enumerate(BOXES * 10, 1)]
    annotations[0]['bbox'] = [50, 5, 20, 10]
    data.write(coco(annotations=annotations))
    assert 'boxes of another form' not in found(data.check(DET), 'error')


@pytest.mark.parametrize(
    'content,form',
    [
        (dict(shapes=[], imagePath='a.jpg'), 'LabelMe'),
        (dict(_via_img_metadata={}), 'VIA'),
        ({'a.jpg123': dict(regions=[], filename='a.jpg')}, 'VIA'),
        ([dict(data=dict(image='a.jpg'), annotations=[])], 'Label Studio'),
        ([dict(image='a.jpg', annotations=[])], 'CreateML'),
        ([dict(image_id=1, score=0.5, bbox=[])], 'COCO results'),
        ([], None),
        (3, None),
        (coco(), None),
    ],
)
def test_files_of_other_tools_are_known_by_name(content, form):
    assert form_of(content) == form


def test_compressed_masks_are_decoded_as_pycocotools_does():
    import numpy as np
    from pycocotools import mask

    generator = np.random.default_rng(0)
    for _ in range(50):
        side = generator.integers(1, 40, 2)
        pixels = generator.random(side) < generator.random()
        code = mask.encode(np.asfortranarray(pixels.astype(np.uint8)))
        code['counts'] = code['counts'].decode()
        shape = shape_of(code)
        assert shape.kind == 'code' and shape.size == tuple(side)
        assert shape.pixels == side.prod()
        damaged = dict(code, counts=code['counts'] + '~')
        assert shape_of(damaged).kind == BAD
