"""Annotation files: every entry that is wrong is named."""

import pytest
from small_data import box, coco, DET, found, picture, SIZE


def test_test_file_without_annotations_is_a_note(data):
    content = coco()
    del content['annotations']
    data.write(content, 'val')
    report = data.check(DET, **{'val_dataloader.dataset.test_mode': True})
    assert 'no annotations at all' in found(report, 'note')
    assert not report.failed


@pytest.mark.parametrize('split', ['train', 'val'])
def test_image_that_is_too_small_to_be_learnt_is_named(split, data):
    """Upstream leaves it out in training alone."""
    key = f'{split}_dataloader.dataset.filter_cfg'
    for least, kinds in ((40, set()), (41, {'small image', 'no images'})):
        report = data.check(DET, **{key: dict(min_size=least)})
        lost = found(report, 'error', 'lost')
        assert lost == (kinds if split == 'train' else set())


@pytest.mark.parametrize('key', ['images', 'categories'])
def test_entry_without_a_key_is_named(key, data):
    content = coco()
    del content[key][0]['width' if key == 'images' else 'name']
    data.write(content)
    assert f'{key} without a key' in found(data.check(DET), 'error')


two = [dict(id=1, name='nucleus'), dict(id=2, name='debris')]
ANNOTATIONS = {
    'no box': (dict(annotations=[box(bbox=None)]), {'box that is none'}),
    'not a number': (
        dict(annotations=[box(bbox=[1, 1, float('nan'), 5])]),
        {'box that is none'},
    ),
    'no area': (
        dict(annotations=[{k: v for k, v in box().items() if k != 'area'}]),
        {'annotation without area'},
    ),
    'flat': (
        dict(annotations=[box(), box(2, bbox=[5, 5, 0, 10])]),
        {'degenerate box'},
    ),
    'outside': (
        dict(annotations=[box(), box(2, bbox=[60, 5, 10, 10])]),
        {'box outside the image', 'mask outside of its box'},
    ),
    'of no image': (
        dict(annotations=[box(), box(2, image_id=9)]),
        {'annotation of no image'},
    ),
    'of no category': (
        dict(annotations=[box(), box(2, category_id=9)]),
        {'annotation of no category'},
    ),
    'other class': (
        dict(annotations=[box(), box(2, category_id=2)], categories=two),
        {'category that the config has not'},
    ),
    'other names': (
        dict(categories=[dict(id=1, name='cell')]),
        {
            'class that the file has not',
            'category that the config has not',
            'no images',
        },
    ),
    'one id twice': (
        dict(annotations=[box(), box()]),
        {'annotations with one id', 'data set that cannot be built'},
    ),
    'empty': (dict(annotations=[]), {'no annotations at all', 'no images'}),
}


@pytest.mark.parametrize('name', ANNOTATIONS)
def test_bad_annotation_is_named(name, data):
    change, kinds = ANNOTATIONS[name]
    data.write(coco(**change))
    report = data.check(DET)
    assert kinds <= found(report, 'error', 'lost')
    # Nothing else is complained of, but for what follows from it.
    assert found(report, 'error', 'lost') - kinds <= {
        'data set that cannot be built',
        'class without objects',
    }


def test_box_beyond_the_border_and_empty_image_are_notes(data):
    height, width = SIZE
    images = [
        *coco()['images'],
        dict(id=1, file_name='b.png', height=height, width=width),
    ]
    picture().save(data.image.with_name('b.png'))
    corners = [[50, 5, 70, 5, 70, 15]]
    wide = box(bbox=[50, 5, 20, 10], segmentation=corners)
    data.write(coco(images=images, annotations=[wide]))
    report = data.check(DET)
    assert not report.failed
    expected = {'box beyond the border', 'image without objects'}
    assert found(report, 'note') == expected


@pytest.mark.parametrize(
    'text,kind',
    [
        (None, 'missing annotation file'),
        ('{"images": [', 'damaged annotation file'),
        ('{"images": []}', 'no COCO file'),
    ],
)
def test_bad_annotation_file_is_named(text, kind, data):
    path = data.root / 'annotations' / 'train.json'
    path.write_text(text) if text else path.unlink()
    expected = {kind, 'data set that cannot be built'}
    assert found(data.check(DET), 'error') == expected


@pytest.mark.parametrize('turned', ['train', 'val', 'classes'])
def test_classes_in_another_order_than_the_file_are_named(turned, data):
    """mmdet gives labels in the order of the file, whatever the config says:
    names, or the splits' labels, would be swapped."""
    boxes = [box(), box(2, category_id=2)]
    for split in ('train', 'val'):
        categories = two[::-1] if turned == split else two
        data.write(coco(annotations=boxes, categories=categories), split)
    names = ['nucleus', 'debris']
    names = names[::-1] if turned == 'classes' else names
    options = {
        f'{split}_dataloader.dataset.metainfo.classes': names
        for split in ('train', 'val', 'test')
    }
    report = data.check(DET, **options)
    splits = {
        split
        for split, problem in report.problems
        if problem.kind == 'classes in another order'
    }
    assert splits == ({'train', 'val'} if turned == 'classes' else {turned})
