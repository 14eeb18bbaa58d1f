"""The front page: short, true, and the same in both languages."""

import re

import pytest
from recipes import ENTRIES
from runs import ROOT

README = (ROOT / 'README.md').read_text()
CHINESE = (ROOT / 'README_zh-CN.md').read_text()


@pytest.mark.parametrize(
    'name,most', [('README.md', 150), ('README_zh-CN.md', 60)]
)
def test_front_page_is_short(name, most):
    lines = (ROOT / name).read_text().splitlines()
    assert len(lines) <= most
    blocks = re.findall(r'^```.*?^```', '\n'.join(lines), re.M | re.S)
    code = {line for block in blocks for line in block.splitlines()}
    for line in lines:
        assert len(line) <= 120 or line.startswith('|') or line in code, line


def blocks(text):
    return re.findall(r'^```\w+\n.*?^```', text, re.M | re.S)


def test_chinese_page_has_the_code_of_the_english_one():
    assert blocks(CHINESE)
    for block in blocks(CHINESE):
        assert block in blocks(README)


def published(text):
    """Rows of the table of published results: network, then figures."""
    rows = re.findall(r'^\| (ResNet-\d+ \| \d+ epochs \|.*)', text, re.M)
    return [
        (row.split(' | ')[0], re.findall(r'(?<=\| )\d\d\.\d\d(?: \*)?', row))
        for row in rows
    ]


def test_published_figures_are_the_same_on_all_pages():
    page = (ROOT / 'configs/classification/README.md').read_text()
    english = published(README)
    assert len(english) == 4
    assert published(CHINESE) == english
    assert published(page.replace(' epochs, AdamW', ' epochs').replace(
        ' epochs, SGD', ' epochs')) == english  # fmt: skip
    listed = {
        f'{value:.2f}'
        for entry in ENTRIES.values()
        for result in entry['Results']
        if 'published' in result.get('Source', '')
        for value in result['Metrics'].values()
    }
    unmarked = {f for _, row in english for f in row if '*' not in f}
    assert listed == unmarked
