"""What public tools export trains: each row of docs/own_data.md's table."""

import json
import re
import shlex

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image
from runs import python, ROOT, tool
from small_data import box, PIXELS, SIZE

from banet.data import check_data

TABLE = (ROOT / 'docs/own_data.md').read_text()


def pictures(folder, names):
    for i, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.roll(PIXELS, i, 1)).save(path)


def labels(folder, names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        label = np.zeros(SIZE, np.uint8)
        label[10:20] = 1
        Image.fromarray(label).save(path)


def coco_file(path, names, categories, first_id=1, **fields):
    height, width = SIZE
    images = [
        dict(id=i, file_name=name, height=height, width=width)
        for i, name in enumerate(names)
    ]
    annotations = [
        box(
            first_id + i,
            image_id=i,
            category_id=categories[-1 - i % 2]['id'],
            **fields,
        )
        for i in range(len(names))
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    content = dict(
        images=images, annotations=annotations, categories=categories
    )
    path.write_text(json.dumps(content))


def categories(first=1):
    return [
        dict(id=first + i, name=name, supercategory='parts')
        for i, name in enumerate(('bolt', 'nut'))
    ]


def roboflow_coco(root):
    """A root category without objects; annotation ids from 0."""
    for split in ('train', 'valid'):
        names = [f'{split}{i}_jpg.rf.abc.jpg' for i in range(3)]
        pictures(root / split, names)
        coco_file(
            root / split / '_annotations.coco.json',
            names,
            [dict(id=0, name='parts', supercategory='none'), *categories()],
            first_id=0,
        )


def cvat_coco(root):
    names = [f'a{i}.png' for i in range(3)]
    pictures(root / 'images', names)
    coco_file(root / 'annotations/instances_default.json', names, categories())


def label_studio(root):
    """Categories from 0, image names below images/."""
    names = [f'images/x{i}.png' for i in range(3)]
    pictures(root, names)
    coco_file(root / 'result.json', names, categories(0))


def via_coco(root):
    names = [f'b{i}.png' for i in range(3)]
    pictures(root / 'images', names)
    coco_file(root / 'via_project_coco.json', names, categories())


def roboflow_masks(root):
    for split in ('train', 'valid'):
        pictures(root / split, [f'{split}{i}.jpg' for i in range(2)])
        labels(root / split, [f'{split}{i}_mask.png' for i in range(2)])
        (root / split / '_classes.csv').write_text(
            'Pixel Value, Class\n0, background\n1, part\n'
        )


def indexed_masks(root):
    pictures(root / 'JPEGImages', ['a.jpg', 'b.jpg'])
    labels(root / 'SegmentationClass', ['a.png', 'b.png'])
    (root / 'labelmap.txt').write_text(
        '# label:color_rgb:parts:actions\nbackground:0,0,0::\npart:9,9,9::\n'
    )


def roboflow_folders(root):
    for split in ('train', 'valid', 'test'):
        for name in ('cat', 'dog'):
            pictures(root / split / name, [f'{split}{i}.jpg' for i in (0, 1)])


def class_folders(root):
    for name in ('cat', 'dog'):
        pictures(root / name, [f'day{i}/{name}{i}.webp' for i in range(5)])


FORMS = {
    'Roboflow, COCO': roboflow_coco,
    'CVAT, COCO 1.0': cvat_coco,
    'Label Studio, COCO': label_studio,
    'VIA, COCO': via_coco,
    'Roboflow, Semantic Segmentation Masks': roboflow_masks,
    'Segmentation masks with indices, labelmap.txt': indexed_masks,
    'Roboflow, Folder Structure': roboflow_folders,
    'One folder per class': class_folders,
}
ROWS = dict(
    re.findall(
        r'^\| ([^|`]+) \| `(python tools/new_config[^`]+)` \|', TABLE, re.M
    )
)


def snippet(heading):
    """The code under a heading of the page."""
    section = TABLE.partition(f'### {heading}\n')[2]
    return re.search(r'```python\n(.*?)```', section, re.S)[1]


def test_masks_in_colours_become_labels(tmp_path):
    """As CVAT's "Segmentation mask 1.1" has them."""
    root = tmp_path / 'DATA'
    pictures(root / 'JPEGImages', ['a.jpg', 'b.jpg'])
    (root / 'SegmentationClass').mkdir()
    (root / 'labelmap.txt').write_text(
        '# label:color_rgb:parts:actions\nbackground:0,0,0::\n'
        'part:250,50,83::\n'
    )
    for name in ('a.png', 'b.png'):
        mask = np.zeros((*SIZE, 3), np.uint8)
        mask[10:20] = 250, 50, 83
        mask[0, 0] = 1, 2, 3
        Image.fromarray(mask).save(root / 'SegmentationClass' / name)
    script = tmp_path / 'convert.py'
    script.write_text(snippet('Masks in colours'))
    assert python(script, cwd=tmp_path).returncode == 0
    label = np.asarray(Image.open(root / 'labels/a.png'))
    assert label[0, 0] == 255 and set(label[10:20].flat) == {1}
    words = [
        '--data',
        'DATA/JPEGImages',
        '--labels',
        'DATA/labels',
        '--out',
        'my.py',
    ]
    result = tool(
        'new_config.py', 'seg', 'upernet', 'r50', *words, cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert not check_data(Config.fromfile(tmp_path / 'my.py')).failed


def test_config_for_pascal_voc_reads_it(tmp_path, monkeypatch):
    root = tmp_path / 'DATA'
    pictures(root / 'JPEGImages', ['a.jpg', 'b.jpg'])
    for folder in ('Annotations', 'ImageSets/Main'):
        (root / folder).mkdir(parents=True)
    height, width = SIZE
    things = ''.join(
        f'<object><name>{name}</name><bndbox><xmin>5</xmin><ymin>5</ymin>'
        '<xmax>25</xmax><ymax>15</ymax></bndbox></object>'
        for name in ('bolt', 'nut')
    )
    for split, name in (('train', 'a'), ('val', 'b')):
        (root / f'ImageSets/Main/{split}.txt').write_text(f'{name}\n')
        (root / f'Annotations/{name}.xml').write_text(
            f'<annotation><size><width>{width}</width>'
            f'<height>{height}</height></size>{things}</annotation>'
        )
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    path = tmp_path / 'my.py'
    path.write_text(snippet('Pascal VOC'))
    monkeypatch.chdir(tmp_path)
    report = check_data(Config.fromfile(path))
    assert not report.failed, report.lines()
    assert [c for _, c in report.contents] == [
        '1 images (bolt: 1, nut: 1)'
    ] * 2


def test_every_form_has_its_row():
    assert set(ROWS) == set(FORMS)


@pytest.mark.slow
@pytest.mark.parametrize('form', FORMS)
def test_command_of_the_table_gives_a_config_whose_data_is_fit(form, tmp_path):
    FORMS[form](tmp_path / 'DATA')
    _, script, *words = shlex.split(ROWS[form])
    assert script == 'tools/new_config.py'
    result = tool('new_config.py', *words, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    report = check_data(Config.fromfile(tmp_path / 'my.py'))
    assert not report.failed, report.lines()
    assert {split for split, _ in report.contents} == {'train', 'val'}
