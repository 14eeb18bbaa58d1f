"""tools/check_data.py on data that real people have."""

import csv
import json
import re

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image
from runs import DEMO, ROOT, tool

from banet.datacheck import check_data, CheckError
from banet.datacheck.labels import check_label

SIZE = (40, 60)  # height and width
PIXELS = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), np.uint8)
DET = 'mask-rcnn_ba-r18_fpn_nuclei.py'
SEG = 'upernet_ba-r18_nuclei.py'
CLS = 'ba-resnet18_digits.py'


def picture(mode='RGB'):
    return Image.fromarray(PIXELS).convert(mode)


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def box(identity=1, **kwargs):
    annotation = dict(
        id=identity,
        image_id=0,
        category_id=1,
        bbox=[5, 5, 20, 10],
        area=200,
        iscrowd=0,
        segmentation=[[5, 5, 25, 5, 25, 15, 5, 15]],
    )
    return {**annotation, **kwargs}


def coco(**kwargs):
    height, width = SIZE
    image = dict(id=0, file_name='a.png', height=height, width=width)
    content = dict(
        images=[image],
        annotations=[box()],
        categories=[dict(id=1, name='nucleus')],
    )
    return {**content, **kwargs}


class Data:
    """The three demos' configs on one image per split, all of it fit."""

    def __init__(self, root):
        self.root = root
        for split in ('train', 'val'):
            for folder in ('images', 'labels'):
                (root / folder / split).mkdir(parents=True)
            # One image in the one split must not be that of the other.
            picture().save(root / 'images' / split / 'a.png')
            label = np.zeros(SIZE, np.uint8)
            label[:10] = 1
            Image.fromarray(label).save(root / 'labels' / split / 'a.png')
            self.write(coco(), split)
            for digit in range(10):
                folder = root / 'digits' / split / str(digit)
                folder.mkdir(parents=True)
                picture().save(folder / f'{split}.png')

    @property
    def image(self):
        return self.root / 'images' / 'train' / 'a.png'

    @property
    def label(self):
        return self.root / 'labels' / 'train' / 'a.png'

    def write(self, content, split='train'):
        (self.root / 'annotations').mkdir(exist_ok=True)
        path = self.root / 'annotations' / f'{split}.json'
        path.write_text(json.dumps(content))

    def options(self, config):
        root = self.root / 'digits' if config == CLS else self.root
        options = {}
        for split in ('train', 'val', 'test'):
            options[f'{split}_dataloader.dataset.data_root'] = f'{root}/'
        return options

    def check(self, config, out=None, **kwargs):
        cfg = Config.fromfile(DEMO / config)
        cfg.merge_from_dict({**self.options(config), **kwargs})
        return check_data(cfg, out=out)


@pytest.fixture
def data(tmp_path):
    return Data(tmp_path / 'data')


def found(report, *severities):
    return {
        problem.kind
        for _, problem in report.problems
        if problem.severity in severities
    }


@pytest.mark.parametrize('config', [DET, SEG, CLS])
def test_fit_data_is_called_fit_and_drawn(config, data, tmp_path):
    report = data.check(config, tmp_path)
    assert not report.problems
    assert not report.failed
    assert [split for split, _ in report.contents] == ['train', 'val']
    for sheet in report.sheets:
        pixels = np.asarray(Image.open(sheet))
        assert pixels[:160, :240].std() > 10  # something is drawn there


def test_contents_are_counted(data):
    texts = [dict(data.check(c).contents)['train'] for c in (DET, SEG, CLS)]
    assert texts[0] == '1 images (nucleus: 1)'
    assert texts[1] == (
        '1 images (background: 75 % of pixels, nucleus: 25 % of pixels)'
    )
    assert texts[2].startswith('10 images (0: 1, 1: 1, 2: 1')


def rotated(path):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture().save(path, 'jpeg', exif=exif)


def deep(path):
    cv2.imwrite(str(path), PIXELS[..., 0].astype(np.uint16) * 256)


# What is done to an image: errors in detection, errors in segmentation, notes
IMAGES = {
    'removed': (lambda p: p.unlink(), 'missing image', None),
    'empty': (lambda p: p.write_bytes(b''), 'empty image file', None),
    'cut': (truncate, 'damaged image', None),
    'a web page': (lambda p: p.write_text('<html>'), 'damaged image', None),
    'CMYK': (
        lambda p: picture('CMYK').save(p, 'jpeg'),
        None,
        'converted image',
    ),
    '16 bits': (deep, None, 'converted image'),
    'gray': (lambda p: picture('L').save(p), None, 'converted image'),
    'RGBA': (lambda p: picture('RGBA').save(p), None, 'converted image'),
    'palette': (lambda p: picture('P').save(p), None, 'converted image'),
    'rotated': (rotated, 'of another size', 'rotated image'),
    'resized': (
        lambda p: picture().resize((30, 20)).save(p),
        'of another size',
        None,
    ),
}


@pytest.mark.parametrize('config', [DET, SEG])
@pytest.mark.parametrize('name', IMAGES)
def test_image_is_seen_for_what_it_is(name, config, data):
    spoil, error, note = IMAGES[name]
    spoil(data.image)
    report = data.check(config)
    if error == 'of another size':
        error = ('image ' if config == DET else 'label ') + error
    if error == 'missing image' and config == SEG:
        error = 'no images'  # mmseg lists the folder
    assert found(report, 'error', 'lost') == ({error} if error else set())
    assert found(report, 'note') == ({note} if note else set())
    assert report.failed == bool(error)


@pytest.mark.parametrize('name', IMAGES)
def test_training_meets_what_the_check_says(name, data):
    """Upstream's own pipeline raises for errors of the file, only there."""
    from mmcv.transforms import LoadImageFromFile

    spoil, error, _ = IMAGES[name]
    spoil(data.image)
    load, info = LoadImageFromFile(), dict(img_path=str(data.image))
    if error and error != 'of another size':
        with pytest.raises((AssertionError, OSError, cv2.error)):
            load(info)
        return
    image = load(info)['img']
    assert image.dtype == np.uint8
    assert image.shape[2] == 3
    assert (image.shape[:2] == SIZE) == (error is None)


def values(*wrong):
    label = np.zeros(SIZE, np.uint8)
    label[0, : len(wrong)] = wrong
    return Image.fromarray(label)


LABELS = {
    'removed': (lambda p: p.unlink(), 'missing label'),
    'cut': (truncate, 'damaged label'),
    'value of no class': (
        lambda p: values(1, 7).save(p),
        'label value of no class',
    ),
    'in colours': (lambda p: picture().save(p), 'label in colours'),
    'resized': (
        lambda p: values(1).resize((30, 20)).save(p),
        'label of another size',
    ),
}


@pytest.mark.parametrize('name', LABELS)
def test_bad_label_is_named(name, data):
    spoil, kind = LABELS[name]
    spoil(data.label)
    assert found(data.check(SEG), 'error', 'lost') == {kind}


def test_ignored_value_and_palette_are_no_problem(data):
    label = values(1, 255)
    label.putpalette([0, 0, 0, 220, 20, 60])
    label.save(data.label)
    assert not data.check(SEG).failed


def test_label_map_comes_after_the_reduction(tmp_path):
    """As in mmseg's LoadAnnotations: 2 is reduced to 1 and mapped to 0."""
    values(2).save(tmp_path / 'a.png')
    info = dict(reduce_zero_label=True, label_map={0: 255, 1: 0})
    problems, pixels = check_label(str(tmp_path / 'a.png'), SIZE, 1, info)
    assert problems == []
    assert pixels == {0: 1, 255: PIXELS[..., 0].size - 1}


def test_test_file_without_annotations_is_a_note(data):
    content = coco()
    del content['annotations']
    data.write(content, 'val')
    report = data.check(DET, **{'val_dataloader.dataset.test_mode': True})
    assert 'no annotations at all' in found(report, 'note')
    assert not report.failed


@pytest.mark.parametrize('key', ['images', 'categories'])
def test_entry_without_a_key_is_named(key, data):
    content = coco()
    del content[key][0]['width' if key == 'images' else 'name']
    data.write(content)
    assert f'{key} without a key' in found(data.check(DET), 'error')


def test_label_values_are_mapped_as_in_training(data):
    """reduce_zero_label makes 1 the first class and ignores 0."""
    values(1, 2).save(data.label)
    key = 'dataset.reduce_zero_label'
    options = {f'train_dataloader.{key}': True}
    assert not data.check(SEG, **options).failed
    values(1, 3).save(data.label)
    report = data.check(SEG, **options)
    assert found(report, 'error') == {'label value of no class'}


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
        {'box outside the image'},
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
        'data set that cannot be built'
    }


def test_box_beyond_the_border_and_empty_image_are_notes(data):
    height, width = SIZE
    images = [
        *coco()['images'],
        dict(id=1, file_name='b.png', height=height, width=width),
    ]
    picture().save(data.image.with_name('b.png'))
    data.write(coco(images=images, annotations=[box(bbox=[50, 5, 20, 10])]))
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


def test_num_classes_of_another_data_set_is_named_with_its_key(data):
    key = 'model.roi_head.bbox_head.num_classes'
    report = data.check(DET, **{key: 80})
    problems = [p for _, p in report.problems if p.severity == 'error']
    assert {p.where for p in problems} == {key}
    assert problems[0].text == '80, but the data has 1 classes'


def test_class_folder_that_a_split_lacks_is_named(data):
    """Upstream numbers the folders of each split by themselves."""
    for file in (data.root / 'digits/val/4').iterdir():
        file.unlink()
    (data.root / 'digits/val/4').rmdir()
    kinds = found(data.check(CLS), 'error')
    assert 'other classes than in training' in kinds


def test_image_in_two_splits_is_a_note(data):
    options = {'val_dataloader.dataset.data_prefix': 'train'}
    report = data.check(CLS, **options)
    assert found(report, 'note') == {'image in two splits'}


def test_config_without_data_is_named():
    cfg = Config(dict(default_scope='mmdet', model=dict()))
    with pytest.raises(CheckError, match='no train_dataloader, val_data'):
        check_data(cfg)


def test_tool_lists_every_problem_and_exits_with_one(data, tmp_path):
    """A real process, with two that read the files."""
    truncate(data.image)
    options = [f'{k}={v}' for k, v in data.options(SEG).items()]
    config = ROOT / 'configs' / 'demo' / SEG
    words = ['check_data.py', config, '--out', tmp_path, '--workers', 2]
    result = tool(*words, '--cfg-options', *options)
    assert result.returncode == 1
    assert re.search(
        r'error damaged image: 1\n +train .*a\.png', result.stdout
    )
    assert result.stdout.endswith('problems were found\n')
    with open(tmp_path / 'problems.csv') as file:
        rows = list(csv.DictReader(file))
    assert [row['kind'] for row in rows] == [
        'damaged image',
        'sample the pipeline cannot make',
    ]
    assert (tmp_path / 'train-0.png').exists()


def test_tool_names_a_missing_config_in_one_line():
    result = tool('check_data.py', 'missing.py')
    assert result.returncode == 1
    expected = 'check_data.py: config missing.py does not exist'
    assert result.stderr.startswith(expected)
