"""What scripts make of the docs is what lies there."""

import runpy

import pytest
import yaml
from recipes import ENTRIES, names, plain_name
from runs import ROOT

SCRIPTS = ROOT / 'docs/scripts'


@pytest.mark.parametrize(
    'task', ['classification', 'detection', 'segmentation']
)
def test_task_pages_are_those_of_the_metafiles(task):
    path = ROOT / f'configs/{task}/README.md'
    script = runpy.run_path(str(SCRIPTS / 'task_pages.py'))
    text = path.read_text()
    assert script['page'](task) == text
    listed = [
        name for name in names(task) if f'| [{name}]({name}.py) ' in text
    ]
    assert listed == names(task)


def test_each_plain_network_stands_above_its_own():
    entries = yaml.safe_load((ROOT / 'configs/baselines.yml').read_text())
    recipes = names('classification', 'detection', 'segmentation')
    plain = [entry['Name'] for entry in entries]
    assert sorted(plain) == sorted({plain_name(name) for name in recipes})
    for name in recipes:
        page = (ROOT / ENTRIES[name]['Config']).parent / 'README.md'
        lines = [line.split(' ')[1] for line in page.read_text().splitlines()
                 if line.startswith('| ')]  # fmt: skip
        rows = [row.split(']')[0].lstrip('[') for row in lines]
        assert {plain_name(name), name} <= set(rows)
        assert rows.index(plain_name(name)) < rows.index(name)


def test_table_of_versions_is_that_of_the_import_check():
    script = runpy.run_path(str(SCRIPTS / 'versions.py'))
    assert script['page']() == script['PAGE'].read_text()


def test_tables_of_results_are_those_of_the_comparisons():
    script = runpy.run_path(str(SCRIPTS / 'results.py'))
    assert script['page']() == script['PAGE'].read_text()
    shown = {name for _, name in script['TABLE'].findall(script['page']())}
    assert shown == {path.stem for path in ROOT.glob('results/*.csv')}


def test_picture_of_the_block_is_what_its_script_draws():
    script = runpy.run_path(str(SCRIPTS / 'block_picture.py'))
    assert script['picture']() == script['OUT'].read_text()
