"""What contributors are told, asked for and checked by is what there is."""

import re
from pathlib import Path

import pytest
import yaml
from runs import ROOT

GITHUB = ROOT / '.github'
HOOKS = [
    hook
    for repo in yaml.safe_load((ROOT / '.pre-commit-config.yaml').read_text())[
        'repos'
    ]
    for hook in repo['hooks']
]


@pytest.mark.parametrize(
    'page',
    [*GITHUB.glob('*.md'), *ROOT.glob('docs/extend/*.md')],
    ids=lambda page: page.name,
)
def test_links_lead_somewhere(page):
    for target in re.findall(r'\]\(([^)#]+)\)', page.read_text()):
        # No address that nobody has looked up.
        assert not target.startswith('http'), target
        assert Path(page.parent, target).exists(), target


def test_commands_of_contributing_are_targets_of_make():
    targets = re.findall(r'^([\w-]+):', (ROOT / 'Makefile').read_text(), re.M)
    named = re.findall(
        r'\bmake ([\w-]+)', (GITHUB / 'CONTRIBUTING.md').read_text()
    )
    assert set(named) >= {'setup', 'test', 'test-fast', 'lint'}
    assert set(named) <= set(targets)


def test_hooks_have_the_versions_of_make_lint():
    pinned = dict(
        line.split('==')
        for line in (ROOT / 'requirements/tests.txt').read_text().split()
        if '==' in line
    )
    versions = dict(
        requirement.split('==')
        for hook in HOOKS
        for requirement in hook['additional_dependencies']
    )
    for name in ('ruff', 'codespell'):
        assert versions[name] == pinned[name]


@pytest.mark.parametrize('name', ['bug', 'feature'])
def test_forms_can_be_filled_in(name):
    form = yaml.safe_load((GITHUB / f'ISSUE_TEMPLATE/{name}.yml').read_text())
    assert form['name'] and form['description']
    fields = {f['id']: f for f in form['body'] if f['type'] != 'markdown'}
    for field in fields.values():
        assert field['attributes']['label']
        assert field['type'] != 'dropdown' or field['attributes']['options']
    if name == 'bug':
        required = {
            key
            for key, field in fields.items()
            if field.get('validations', {}).get('required')
        }
        assert required >= {'doctor', 'config', 'command', 'output'}
        label = fields['doctor']['attributes']['label']
        assert 'python -m banet.doctor' in label
