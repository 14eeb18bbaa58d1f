"""What several test files start from."""

import pytest
from runs import make_digits, write_checkpoints


@pytest.fixture(scope='session')
def digits(tmp_path_factory):
    """One training and one validation scan of each digit."""
    return make_digits(tmp_path_factory.mktemp('digits') / 'small')


@pytest.fixture(scope='session')
def checkpoints(tmp_path_factory):
    """A checkpoint per task, as a training leaves it, of random weights."""
    return write_checkpoints(tmp_path_factory.mktemp('checkpoints'))
