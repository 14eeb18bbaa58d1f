"""The images in the repository, their labels and their licence."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as rle
from runs import NUCLEI


@pytest.mark.parametrize('split,images', [('train', 48), ('val', 16)])
def test_embedded_labels_are_the_union_of_the_masks(split, images):
    coco = json.loads((NUCLEI / f'annotations/{split}.json').read_text())
    assert len(coco['images']) == images
    assert {image['type'] for image in coco['images']} >= {
        'fluor256',
        'stain320',
        'fluor360',
    }
    for image in coco['images']:
        union = rle.decode(
            [
                a['segmentation']
                for a in coco['annotations']
                if a['image_id'] == image['id']
            ]
        ).max(-1)
        name = image['file_name']
        label = np.asarray(Image.open(NUCLEI / 'labels' / split / name))
        assert np.array_equal(label, union)
        size = Image.open(NUCLEI / 'images' / split / name).size
        assert size == (image['width'], image['height'])


def test_embedded_data_is_small_and_names_source_and_licence():
    total = sum(p.stat().st_size for p in NUCLEI.rglob('*') if p.is_file())
    assert total <= 4e6
    text = (NUCLEI / 'README.md').read_text()
    assert 'CC0' in text and 'kaggle-dsbowl-2018-dataset-fixes' in text
