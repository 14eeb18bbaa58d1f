"""The names that configs use, and the one version."""

import re

import pytest
from mmengine.registry import MODELS
from runs import ROOT


@pytest.mark.parametrize('scope', ['mmdet', 'mmseg', 'mmpretrain'])
@pytest.mark.parametrize(
    'name',
    [
        'BAResNet',
        'BAResNetV1c',
        'BAResNetV1d',
        'BAResNeXt',
        'BridgeAttentionV1',
        'BridgeAttentionV2',
    ],
)
def test_unprefixed_names_resolve_from_every_library(scope, name):
    with MODELS.switch_scope_and_registry(scope) as registry:
        assert registry.get(name).__name__ == name


def test_version_is_one_number():
    version = re.search(
        r"'(.*)'", (ROOT / 'projects/banet/version.py').read_text()
    )[1]
    assert f'## {version}' in (ROOT / 'CHANGELOG.md').read_text()
    assert f'version: {version}' in (ROOT / 'CITATION.cff').read_text()
