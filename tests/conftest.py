"""What the tests of several rooms start from."""

import gc
import os
from collections import Counter

# What is measured here is measured on a CPU, as wherever there is no GPU.
os.environ['CUDA_VISIBLE_DEVICES'] = ''

import pytest
from once import keep_metafiles
from runs import make_digits, TASKS, write_checkpoints

import banet

keep_metafiles()


def pytest_collection_modifyitems(items):
    """Files with many slow tests first: two processes end at the same time."""
    slow = Counter(
        item.path for item in items if item.get_closest_marker('slow')
    )
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(scope='module', autouse=True)
def frozen_heap():
    """Collectors need not look at what lives to the end, libraries above all.

    mmengine's data sets call one whenever they are built.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope='session')
def digits(tmp_path_factory):
    """One training and one validation scan of each digit."""
    return make_digits(tmp_path_factory.mktemp('digits') / 'small')


@pytest.fixture(scope='session')
def checkpoints(tmp_path_factory):
    """A checkpoint per task, as a training leaves it, of random weights."""
    return write_checkpoints(tmp_path_factory.mktemp('checkpoints'))


@pytest.fixture(scope='module')
def predictors(checkpoints):
    """Those checkpoints, loaded for use, by task."""
    return {
        task: banet.load(config, checkpoints[task], 'cpu')
        for task, (config, _) in TASKS.items()
    }
