"""The guide to a new config holds what it says."""

import re
import runpy
import shutil
import sys

import pytest
import runs
import yaml
from guides import (
    commands,
    GUIDES,
    make_clone,
    steps,
    write_files,
)
from mmengine.config import Config
from recipes import plain_name
from runs import ROOT

from banet.apis.config import load_config
from banet.apis.model import build_model

COMPARING = dict(
    test_zoo=(
        'test_index_lists_every_metafile_and_config_once',
        'test_metafiles_have_the_ecosystems_form',
    ),
    test_generated_pages=('test_each_plain_network_stands_above_its_own',),
)


@pytest.fixture
def catalogue(tmp_path):
    """A clone whose list of configs may change."""
    folder = tmp_path / 'clone'
    folder.mkdir()
    return make_clone(folder, 'configs', 'docs')


def make_pages(folder):
    """The guide's command, there."""
    script = folder / 'docs/scripts/task_pages.py'
    assert f'python {script.relative_to(folder)}' in commands('new_config')
    runpy.run_path(str(script), run_name='__main__')


def compare(folder, monkeypatch):
    """The tests that the guide names, on that folder instead of this one."""
    monkeypatch.setattr(runs, 'ROOT', folder)
    monkeypatch.delitem(sys.modules, 'recipes', raising=False)
    for file, names in COMPARING.items():
        (path,) = ROOT.glob(f'tests/**/{file}.py')
        tests = runpy.run_path(str(path))
        for name in names:
            assert f'`{name}`' in GUIDES['new_config']
            tests[name]()
    pages = 'test_task_pages_are_those_of_the_metafiles'
    assert f'`{pages}`' in GUIDES['new_config']
    tests[pages]('classification')


def test_config_of_the_guide_is_complete(catalogue, monkeypatch):
    write_files('new_config', catalogue)
    make_pages(catalogue)
    compare(catalogue, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize(
    'left_out', ['config', 'entry', 'baseline', 'page', 'figure']
)
def test_a_step_left_out_is_noticed(left_out, catalogue, monkeypatch):
    write_files('new_config', catalogue)
    if left_out != 'page':
        make_pages(catalogue)
    if left_out == 'config':
        (catalogue / steps('new_config')[0][1]).unlink()
    if left_out == 'entry':
        shutil.copytree(
            ROOT / 'configs/metafiles',
            catalogue / 'configs/metafiles',
            dirs_exist_ok=True,
        )
    if left_out == 'baseline':
        shutil.copy(ROOT / 'configs/baselines.yml', catalogue / 'configs')
    if left_out == 'figure':
        path = catalogue / 'configs/metafiles/ba-regnet.yml'
        entry = entry_of_the_guide()['Metadata']
        text = path.read_text()
        old = f'Parameters: {entry["Parameters"]}'
        assert text.count(old) == 1
        path.write_text(text.replace(old, 'Parameters: 1'))
    with pytest.raises((AssertionError, KeyError, FileNotFoundError)):
        compare(catalogue, monkeypatch)


def entry_of_the_guide():
    return yaml.safe_load(steps('new_config')[1][2])[0]


def test_config_of_the_guide_builds_what_its_entry_says(catalogue):
    write_files('new_config', catalogue)
    path = catalogue / steps('new_config')[0][1]
    config = Config.fromfile(path)
    assert config.model.backbone.arch == 'regnetx_800mf'
    model = build_model(load_config(str(path)))
    assert type(model.backbone).__name__ == 'BARegNet'
    assert all(block.attention for _, block in model.backbone.blocks())
    parameters = sum(p.numel() for p in model.parameters())
    assert parameters == entry_of_the_guide()['Metadata']['Parameters']


def test_count_of_the_guide_is_what_the_tool_prints(
    catalogue, monkeypatch, capsys
):
    write_files('new_config', catalogue)
    monkeypatch.chdir(catalogue)
    _, *argv = commands('new_config')[0].split()
    monkeypatch.setattr(sys, 'argv', argv)
    with pytest.raises(SystemExit) as exit:
        runpy.run_path(argv[0], run_name='__main__')
    assert not exit.value.code
    last = capsys.readouterr().out.splitlines()[-1].replace(',', '')
    parameters, macs = (int(number) for number in last.split()[1:])
    found = entry_of_the_guide()['Metadata']
    assert found == dict(
        found, Parameters=parameters, FLOPs=round(macs / 1e7) * 10**7
    )


def test_plain_network_of_the_guide_is_upstreams(catalogue):
    write_files('new_config', catalogue)
    (plain,) = yaml.safe_load(steps('new_config')[2][2])
    cfg = load_config(str(catalogue / steps('new_config')[0][1]))
    cfg.model.backbone.attention = None
    parameters = sum(p.numel() for p in build_model(cfg).parameters())
    assert plain['Parameters'] == parameters
    assert plain['Name'] == plain_name(entry_of_the_guide()['Name'])


def test_last_command_of_the_guide_runs_the_tests_that_it_lists():
    names = re.findall(r'^\| `(test_\w+)` \|', GUIDES['new_config'], re.M)
    assert len(names) == 9
    *_, command = commands('new_config')
    chosen = re.search(r'-k "(\w+) or (\w+) or (\w+)"', command).groups()
    files = {p.stem: p.read_text() for p in ROOT.glob('tests/*/test_*.py')}
    for name in names:
        (file,) = (f for f, code in files.items() if f'def {name}(' in code)
        assert any(word in file for word in chosen), name
