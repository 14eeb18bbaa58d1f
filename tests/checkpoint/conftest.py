"""Names in configs are those of mmpretrain."""

import pytest
from mmengine.registry import init_default_scope


@pytest.fixture(scope='module', autouse=True)
def scope():
    init_default_scope('mmpretrain')
