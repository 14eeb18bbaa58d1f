"""Configs whose ``type`` is the class itself, as new-style ones have it."""

import sys

import mmengine.registry as registries
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from runs import IMAGE, TASKS

import banet
from banet.data import check_data
from banet.data.sets import build, split_leaves

NAMES = 'MODELS', 'DATASETS', 'TRANSFORMS', 'METRICS', 'HOOKS', 'VISUALIZERS'


def with_classes(value, scope):
    """The same config with classes in the place of registered names."""
    if isinstance(value, dict):
        value = {k: with_classes(v, scope) for k, v in value.items()}
        for name in NAMES if isinstance(value.get('type'), str) else ():
            registry = getattr(registries, name)
            with registry.switch_scope_and_registry(scope) as inner:
                found = inner.get(value['type'])
            if found is not None:
                return {**value, 'type': found}
        return value
    if isinstance(value, (list, tuple)):
        return type(value)(with_classes(v, scope) for v in value)
    return value


def as_written(value):
    """Classes by their whole paths, as text."""
    if isinstance(value, dict):
        return {k: as_written(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(as_written, value))
    if isinstance(value, type):
        home = value.__module__
        package = home.rpartition('.')[0]
        if hasattr(sys.modules[package], value.__name__):
            home = package  # where configs import it from
        return f'{home}.{value.__name__}'
    return value


@pytest.fixture(params=TASKS)
def pair(request):
    """A task, its demo's config, and the same in the new style."""
    config = Config.fromfile(TASKS[request.param][0])
    scope = config.default_scope
    init_default_scope(scope)
    return request.param, config, Config(with_classes(config.to_dict(), scope))


@pytest.mark.slow
def test_it_predicts_the_same(pair, checkpoints):
    """Also as mmengine writes it to a work dir, with classes' whole paths."""
    task, config, new = pair
    assert isinstance(new.model.type, type)
    written = Config(as_written(new.to_dict()))
    results = [
        banet.load(c, checkpoints[task], 'cpu').predict(IMAGE)[0]
        for c in (config, new, written)
    ]
    key = dict(cls='top', det='scores', seg='labels')[task]
    for result in results[1:]:
        np.testing.assert_array_equal(results[0][key], result[key])


def test_its_data_are_built_and_looked_at(pair):
    task, _, new = pair
    if task == 'cls':
        pytest.skip('the digits are not there; the path is the same')
    init_default_scope(new.default_scope)
    for _, leaf in split_leaves(new):
        assert len(build(leaf)) > 0
    report = check_data(new, fast=True)
    assert not report.failed, report.lines()
