"""Label images: bad ones, and values as training maps them."""

import numpy as np
import pytest
from PIL import Image
from small_data import found, picture, PIXELS, SEG, SIZE, truncate, values

from banet.data.labels import check_label


def uniform(*stripes):
    """Of nothing but these values."""
    label = np.resize(np.array(stripes, np.uint8), SIZE[::-1]).T
    return Image.fromarray(np.ascontiguousarray(label))


LABELS = {
    'removed': (lambda p: p.unlink(), 'missing label'),
    'cut': (truncate, 'damaged label'),
    'value of no class': (
        lambda p: values(1, 7).save(p),
        'label value of no class',
    ),
    'of 0 and 255': (
        lambda p: values(0, 255).save(p),
        'labels of 0 and 255',
    ),
    'from 1': (lambda p: uniform(1, 2).save(p), 'labels from 1'),
    'lossy': (
        lambda p: values(1).save(p, format='JPEG', quality=100),
        'lossy label',
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
    kinds = found(data.check(SEG), 'error', 'lost')
    # What follows: a class without pixels, values that are none.
    follows = {'class without pixels', 'label value of no class'} - {kind}
    assert kinds - follows == {kind}


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


def test_label_values_are_mapped_as_in_training(data):
    """reduce_zero_label makes 1 the first class and ignores 0."""
    values(1, 2).save(data.label)
    key = 'dataset.reduce_zero_label'
    options = {f'train_dataloader.{key}': True}
    assert not data.check(SEG, **options).failed
    values(1, 3).save(data.label)
    report = data.check(SEG, **options)
    assert found(report, 'error') == {'label value of no class'}
