"""Names in configs are those of mmpretrain; mmengine's loaders come back."""

import pytest
from mmengine.registry import init_default_scope
from mmengine.runner.checkpoint import CheckpointLoader


@pytest.fixture(scope='module', autouse=True)
def scope():
    init_default_scope('mmpretrain')


@pytest.fixture
def mmengines_loader():
    """What the library has, afterwards, too."""
    before = dict(CheckpointLoader._schemes)
    yield
    CheckpointLoader._schemes = before
