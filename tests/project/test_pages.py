"""Links, pictures and the first config of the pages."""

import re
from pathlib import Path

import pytest
from mmengine.config import Config
from pages import PAGES
from runs import ROOT


def test_three_lines_in_a_config_are_a_detector():
    text = (ROOT / 'README.md').read_text()
    code = next(
        c
        for c in re.findall(r'^```python\n(.*?)^```', text, re.M | re.S)
        if "_base_ = 'mmdet::" in c
    )
    assert Config.fromstring(code, '.py').model.backbone.type == 'BAResNet'


def test_pictures_are_there_and_small():
    for page in PAGES:
        for path in re.findall(r'!\[[^\]]+\]\(([^)]+)\)', page.read_text()):
            size = Path(page.parent, path).stat().st_size
            assert size < 200_000, path


LINKED = [
    *PAGES,
    *sorted((ROOT / 'docs/extend').glob('*.md')),
    ROOT / 'SECURITY.md',
    ROOT / 'data/nuclei_mini/README.md',
    ROOT / 'projects/banet/README.md',
]


@pytest.mark.parametrize(
    'path', LINKED, ids=lambda p: str(p.relative_to(ROOT))
)
def test_links_lead_to_files_and_no_figure_is_left_open(path):
    text = path.read_text()
    for link in re.findall(r'\]\(([^)#]+)\)', text):
        if '://' not in link:
            assert path.parent.joinpath(link).exists(), link
    assert not re.search(r'@[A-Z]+@|TODO|TBD', text)
