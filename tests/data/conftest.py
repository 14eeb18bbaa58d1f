"""Fit data of its own for each test."""

import pytest
from small_data import Data


@pytest.fixture
def data(tmp_path):
    return Data(tmp_path / 'data')
