"""Layouts that public tools write are read, or it is said what to do."""

import numpy as np
import pytest
from PIL import Image

from banet.data.class_lists import ClassListError, find_list, read_list
from banet.data.folders import check_class_folders, images_below
from banet.data.layouts import find_ends
from banet.data.unread import check_class_names, check_unread

NAMES = 'part_0', 'part_1', 'other-2'


def make(folder, names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(path)
    return folder


@pytest.mark.parametrize(
    'image_end,label_end',
    [
        ('.jpg', '.png'),
        ('.jpg', '_mask.png'),
        ('.png', '_labelIds.png'),
        ('.jpg', '-seg.png'),
        ('_leftImg8bit.png', '_gtFine_labelTrainIds.png'),
        ('_image.tif', '_label.png'),
    ],
)
@pytest.mark.parametrize('sub', ['', 'a/b/'])
def test_ends_of_two_folders_are_found(image_end, label_end, sub, tmp_path):
    images = make(tmp_path / 'i', [f'{sub}{n}{image_end}' for n in NAMES])
    labels = make(tmp_path / 'l', [f'{sub}{n}{label_end}' for n in NAMES])
    ends, problems = find_ends(images, labels)
    assert not problems
    assert ends == (image_end, label_end)
    # As mmseg goes from one to the other.
    for name in NAMES:
        path = f'{sub}{name}{image_end}'
        assert (labels / (path[: -len(ends.image)] + ends.label)).is_file()


@pytest.mark.parametrize('label_end', ['_mask.png', '-label.png', '.png'])
def test_images_and_labels_may_share_a_folder(label_end, tmp_path):
    """As Roboflow writes them."""
    make(tmp_path, [f'{n}.jpg' for n in NAMES])
    make(tmp_path, [f'{n}{label_end}' for n in NAMES])
    assert find_ends(tmp_path, tmp_path) == (('.jpg', label_end), [])


@pytest.mark.parametrize(
    'images,labels,message',
    [
        (
            ['a.jpg', 'b.jpg'],
            ['a.png'],
            '1 of 2 images have no label NAME.png in ',
        ),
        (['a.jpg', 'b.jpg'], ['x.png'], '2 of 2 images have no label of the'),
        (
            ['a.jpg', 'b.jpg', 'c.jpg'],
            ['a_mask.png', 'b_mask.png'],
            '1 of 3 images have no label NAME_mask.png in ',
        ),
        (
            [f'{n}_leftImg8bit.png' for n in 'abc'],
            ['a_gtFine.png', 'b_gtFine.png'],
            '1 of 3 images have no label NAME_gtFine.png in ',
        ),
        (['a.jpg', 'b.png'], ['a.png', 'b.png'], 'mixes 1 .jpg, 1 .png'),
        (
            ['a.jpg', 'b.jpg'],
            ['a_mask.png', 'b_mask.png', 'a_colour.png', 'b_colour.png'],
            'say which, --label-suffix',
        ),
        ([], ['a.png'], 'holds no image'),
        (['a.jpg'], [], 'holds no image'),
    ],
)
def test_what_does_not_fit_together_is_named(
    images, labels, message, tmp_path
):
    for folder, names in (('i', images), ('l', labels)):
        (tmp_path / folder).mkdir()
        make(tmp_path / folder, names)
    ends, (problem,) = find_ends(tmp_path / 'i', tmp_path / 'l')
    assert ends is None
    assert message in problem.text


@pytest.mark.parametrize('end', ['_mask.png', 'mask.png'])
def test_label_of_the_suffix_that_is_named_is_missing(end, tmp_path):
    make(tmp_path / 'i', ['a.jpg', 'b.jpg'])
    make(tmp_path / 'l', [f'a{end}', 'b_colour.png'])
    ends, (problem,) = find_ends(tmp_path / 'i', tmp_path / 'l', end)
    assert ends is None
    assert problem.text.endswith(f'NAME{end} in {tmp_path / "l"}: b')


@pytest.mark.parametrize('end', ['_mask.png', 'mask.png'])
def test_suffix_that_is_named_decides(end, tmp_path):
    make(tmp_path / 'i', ['a.jpg'])
    make(tmp_path / 'l', [f'a{end}', 'a_colour.png'])
    ends, _ = find_ends(tmp_path / 'i', tmp_path / 'l', end)
    assert ends == ('.jpg', end)


def test_labels_that_end_as_images_do_need_a_folder(tmp_path):
    make(tmp_path, ['a.png', 'a_mask.png', 'b.png', 'b_mask.png'])
    _, (problem,) = find_ends(tmp_path, tmp_path)
    assert 'move them to a folder of their own' in problem.text


LISTS = {
    'plain.txt': 'sky\nroad\n',
    'coloured.txt': 'sky 1 2 3\nroad 4 5 6\n',
    'commas.txt': 'sky, 1, 2, 3\nroad, 4, 5, 6\n',
    'comments.txt': '# my classes\n\nsky 1 2 3\nroad 4 5 6\n',
    'bom.txt': '\ufeffsky 1 2 3\nroad 4 5 6\n',
    'numbered.txt': '0 sky\n1 road\n',
    'colons.txt': '0: sky\n1: road\n',
    'header.txt': 'name,r,g,b\nsky,1,2,3\nroad,4,5,6\n',
    'class_dict.csv': 'name,r,g,b\nsky,1,2,3\nroad,4,5,6\n',
    'map.txt': 'label:color_rgb:parts:actions\nsky:1,2,3::\nroad:4,5,6::\n',
    'labelmap.txt': '# label:color_rgb:parts:actions\nsky:1,2,3::\n'
    'road:4,5,6::\n',
    '_classes.csv': 'Pixel Value, Class\n0, sky\n1, road\n',
}


@pytest.mark.parametrize('name', LISTS)
def test_lists_of_classes_are_read(name, tmp_path):
    (tmp_path / name).write_text(LISTS[name], encoding='utf-8')
    names, colours = read_list(tmp_path / name)
    assert names == ['sky', 'road']
    assert len(colours) == 2
    if '4,' in LISTS[name] or '4 ' in LISTS[name]:
        assert colours == [(1, 2, 3), (4, 5, 6)]


@pytest.mark.parametrize(
    'name,text,message',
    [
        ('x.txt', 'sky\n', 'has 1 names'),
        ('x.txt', 'sky\nsky\n', '1 of them different'),
        ('x.csv', '0,sky\n2,road\n', r'has the values \[0, 2\]'),
    ],
)
def test_bad_list_is_named(name, text, message, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(ClassListError, match=message):
        read_list(tmp_path / name)


def test_list_beside_the_data_is_found(tmp_path):
    (tmp_path / 'images').mkdir()
    assert find_list(tmp_path / 'images') is None
    (tmp_path / 'labelmap.txt').write_text('')
    assert find_list(tmp_path / 'images') == tmp_path / 'labelmap.txt'


def test_files_that_nobody_reads_are_counted(tmp_path):
    make(tmp_path, ['a.jpg', 'sub/b.webp', 'sub/c.webp'])
    (tmp_path / 'Thumbs.db').write_text('')
    read = [str(tmp_path / 'a.jpg')]
    images, others = check_unread(str(tmp_path), read, by_list=False)
    assert images.severity == 'lost'
    assert images.text == '2 .webp (such as sub/b.webp)'
    assert others.severity == 'note' and 'Thumbs.db' in others.text
    listed, _ = check_unread(str(tmp_path), read, by_list=True)
    assert listed.severity == 'note'
    assert not check_unread(
        str(tmp_path / 'sub'),
        [str(tmp_path / 'sub' / n) for n in ('b.webp', 'c.webp')],
        by_list=False,
    )


def test_links_that_lead_back_are_walked_once(tmp_path):
    make(tmp_path, ['sub/a.jpg'])
    (tmp_path / 'sub/back').symlink_to(tmp_path)
    (found,) = check_unread(str(tmp_path), [], by_list=False)
    assert found.text.startswith('1 .jpg')


@pytest.mark.parametrize('name', ['.ipynb_checkpoints', 'lost+found'])
def test_hidden_folder_is_no_class(name):
    (problem,) = check_class_names([name, 'cat'], 'train')
    assert problem.severity == 'error'
    assert f'{name} became a class' in problem.text
    assert not check_class_names(['cat', 'dog'], 'train')


@pytest.mark.parametrize(
    'copy', ['cat/.ipynb_checkpoints/a-checkpoint.jpg', 'cat/._a.jpg']
)
def test_other_programs_copies_are_no_images(copy, tmp_path):
    """Neither in the lists that are written, nor unnoticed where read."""
    make(tmp_path, ['cat/a.jpg', 'dog/b.jpg', copy])
    names = [p.name for p in images_below(tmp_path)]
    assert names == ['a.jpg', 'b.jpg']
    (problem,) = check_class_folders(tmp_path)
    assert problem.severity == 'lost' and 'are read as data' in problem.text


@pytest.mark.parametrize('suffix', ['.jfif', '.heic', '.GIF'])
def test_pictures_of_other_suffixes_are_missed_images(suffix, tmp_path):
    (tmp_path / f'a{suffix}').write_bytes(b'x')
    (problem,) = check_unread(str(tmp_path), [], by_list=False)
    assert problem.severity == 'lost'
