"""Ways in which COCO files of other tools are damaged, field by field."""

import copy
import json

from hypothesis import strategies as st
from runs import NUCLEI

# What other tools, spreadsheets and hands leave in a field.
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 400),
    st.floats(allow_nan=True, allow_infinity=True, width=32),
    st.sampled_from(['', '1', '12', '0', 'nucleus', 'a\\b.png', 'ä']),
    st.lists(st.integers(-2, 90), max_size=5),
    st.just({}),
    st.just([[1, 2, 3, 4]]),
    st.just([[5, 5, 25, 5, 25, 15, 5, 15]]),
    st.just({'size': [10, 10], 'counts': [50, 50]}),
    st.just({'size': [10, 10], 'counts': 'abc'}),
)
FIELDS = dict(
    images=('id', 'file_name', 'width', 'height'),
    annotations=(
        'id',
        'image_id',
        'category_id',
        'bbox',
        'area',
        'iscrowd',
        'segmentation',
    ),
    categories=('id', 'name'),
)

NUMBERS = st.one_of(st.integers(-2, 300), st.floats(-2, 300))
POINTS = st.lists(NUMBERS, max_size=10)
# What looks like a value of the field.
LIKELY = dict(
    id=st.integers(-1, 60),
    image_id=st.integers(0, 4),
    category_id=st.integers(0, 2),
    width=NUMBERS,
    height=NUMBERS,
    area=NUMBERS,
    iscrowd=st.sampled_from([0, 1, 2, '0', False, True, 0.0]),
    bbox=st.lists(NUMBERS, min_size=3, max_size=5),
    segmentation=st.one_of(
        POINTS,
        st.lists(POINTS, max_size=3),
        st.builds(
            dict,
            size=st.lists(st.integers(0, 600), max_size=3),
            counts=st.one_of(
                st.lists(st.integers(0, 65536), max_size=4),
                st.text('0123PQ^_`abc~', max_size=8),
            ),
        ),
    ),
    file_name=st.sampled_from(['images/1.png', 'C:\\a.png', '../a.png']),
    name=st.sampled_from(['Nucleus', 'nucleus ', '1', 'cell']),
)


def good(images=3):
    """A small part of the embedded nuclei."""
    content = json.loads((NUCLEI / 'annotations/train.json').read_text())
    content['images'] = content['images'][:images]
    ids = {image['id'] for image in content['images']}
    content['annotations'] = [
        a for a in content['annotations'] if a['image_id'] in ids
    ]
    return content


@st.composite
def damaged(draw, content):
    """What was done, in words, and ``content`` with it done.

    One entry, or all of a list, loses a field or gets another value in it;
    or a whole list is null, empty, doubled, or of another kind.
    """
    content = copy.deepcopy(content)
    key = draw(st.sampled_from([*FIELDS, *4 * ['annotations']]))
    way = draw(st.sampled_from(['field', 'field', 'field', 'all', 'list']))
    if way == 'list':
        value = draw(
            st.sampled_from([None, [], {}, 'text', 'doubled', 'removed'])
        )
        if value == 'doubled':
            content[key] = content[key] * 2
        elif value == 'removed':
            del content[key]
        else:
            content[key] = value
        return f'{key}: {value!r}', content
    field = draw(st.sampled_from(FIELDS[key]))
    entries = content[key]
    if way == 'field':
        entries = [draw(st.sampled_from(entries))]
    remove = draw(st.integers(0, 5)) == 5
    value = draw(st.one_of(LIKELY[field], VALUES))
    for entry in entries:
        if remove:
            del entry[field]
        else:
            entry[field] = value
    what = 'removed' if remove else repr(value)
    return f'{key}.{field} of {len(entries)}: {what}', content
