"""What is committed in results/ is what the plans, as they are, would make."""

import re

import pytest
from comparisons import DATA
from runs import ROOT

from banet.compare.plan import read_plan
from banet.compare.rows import read_rows
from banet.compare.table import as_markdown
from banet.utils.installed import installed

FILES = sorted((ROOT / 'results').glob('*.csv'))
ORIGINAL = 'mmpretrain' in installed()


@pytest.fixture(params=FILES, ids=[file.stem for file in FILES])
def table(request, tmp_path, monkeypatch):
    """A plan, its rows' file and their rows."""
    monkeypatch.chdir(ROOT)
    for name in DATA:
        (tmp_path / name).mkdir()
    path = ROOT / f'configs/experiments/{request.param.stem}.py'
    plan = read_plan(path.relative_to(ROOT), tmp_path)
    return plan, request.param, read_rows(request.param, plan)


@pytest.mark.skipif(ORIGINAL, reason="the fork's own recipes differ")
def test_rows_are_of_the_recipe_that_the_plan_has_now(table):
    """Else no run could join them, and nobody could repeat them."""
    plan, _, rows = table
    assert {row['recipe'] for row in rows} == {plan.recipe_id()}


def test_page_is_made_from_the_rows(table):
    plan, file, rows = table
    text = file.with_suffix('.md').read_text()
    command = re.search(r'```bash\n(.*)\n```', text)[1]
    assert f'configs/experiments/{plan.name}.py' in command
    assert as_markdown(rows, plan, command) == text
