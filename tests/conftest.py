"""What several test files start from."""

import pytest
from runs import make_digits


@pytest.fixture(scope='session')
def digits(tmp_path_factory):
    """One training and one validation scan of each digit."""
    return make_digits(tmp_path_factory.mktemp('digits') / 'small')
