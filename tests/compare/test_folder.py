"""A run's folder is its own, and knows what it was made from."""

import json

import pytest
import torch
from comparisons import row, training

from banet.compare.device import check_device, environment
from banet.compare.folder import (
    check_origin,
    find_start,
    MINUTES,
    read_origin,
    start_id,
    TrainingError,
    write_origin,
)
from banet.compare.plan import Start


@pytest.mark.parametrize(
    'name,called',
    [
        ('recipe', 'recipes'),
        ('start', 'starts'),
        ('versions', 'versions'),
        ('device', 'devices'),
        ('options', 'networks'),
    ],
)
def test_what_was_trained_otherwise_is_refused(name, called, tmp_path):
    """It would become a row of a recipe that it never had."""
    check_origin(tmp_path / 'new', row())
    write_origin(tmp_path, row())
    check_origin(tmp_path, row(**{name: 'other'}))  # it left nothing
    torch.save({}, tmp_path / 'epoch_1.pth')
    check_origin(tmp_path, row(commit='another', minutes='9'))
    with pytest.raises(TrainingError, match=f'a run of other {called}: rem'):
        check_origin(tmp_path, row(**{name: 'other'}))


def test_folder_that_does_not_say_what_it_holds_is_refused(tmp_path):
    (tmp_path / MINUTES).write_text('{}')
    with pytest.raises(TrainingError, match='does not say what it was made'):
        check_origin(tmp_path, row())
    folder = tmp_path / 'pre/plain-0'
    folder.mkdir(parents=True)
    with pytest.raises(TrainingError, match='plain-0, which is not finished'):
        find_start(Start('pre'), tmp_path, 'plain', 0)
    for name in (MINUTES, 'last_checkpoint'):
        (folder / name).write_text('{"status": "finished"}')
    with pytest.raises(TrainingError, match='plain-0 does not say what it wa'):
        find_start(Start('pre'), tmp_path, 'plain', 0)
    write_origin(folder, row())
    assert find_start(Start('pre'), tmp_path, 'plain', 0) == folder


def test_nothing_starts_from_a_run_that_diverged(tmp_path):
    folder = tmp_path / 'pre/plain-0'
    folder.mkdir(parents=True)
    write_origin(folder, row())
    for name in (MINUTES, 'last_checkpoint'):
        (folder / name).write_text('{"status": "diverged"}')
    with pytest.raises(TrainingError, match='plain-0, which has diverged'):
        find_start(Start('pre'), tmp_path, 'plain', 0)


def test_all_processes_that_trained_a_run_are_noted(tmp_path):
    first = start_of(tmp_path, commit='a', threads='1')
    again = start_of(tmp_path, commit='b', threads='1')
    assert first == again  # it is the same run
    origin = read_origin(tmp_path)
    assert (origin['commit'], origin['threads']) == (['a', 'b'], ['1'])
    # Another model of a GPU may go on.
    (tmp_path / MINUTES).touch()
    first = start_of(tmp_path, device='cuda A')
    check_origin(tmp_path, row(device='cuda B'))
    assert start_of(tmp_path, device='cuda B') == first


def start_of(folder, **other):
    write_origin(folder, row(**other))
    return start_id(folder, Start('pre'))


def test_curves_of_what_failed_are_not_those_of_the_run(tmp_path):
    curves = tmp_path / '20260101_000000/vis_data/scalars.json'
    curves.parent.mkdir(parents=True)
    for recipe, there in (('a', False), ('a', True), ('b', False)):
        write_origin(tmp_path, row(recipe=recipe))
        assert curves.exists() == there
        curves.write_text('{}')


@pytest.mark.parametrize('network', [None, 'plain'])
def test_a_start_is_known_by_its_recipe(network, tmp_path):
    """And by its network, where all networks start from that one."""

    def known(**other):
        write_origin(tmp_path, row(**other))
        return start_id(tmp_path, Start('pre', network))

    first = known()
    assert (known(options='{"a": 1}') == first) == (network is None)
    assert known(recipe='other') != first
    assert known(data='other') != first


def test_every_run_has_a_config_of_its_own(tmp_path):
    """Also where names look like a suffix."""
    files = {
        training(tmp_path, network, seed).config_file
        for network in ('lr0.1', 'lr0.01', 'lr0')
        for seed in (0, 1)
    }
    assert len(files) == 6


@pytest.mark.parametrize(
    'visible,device,expected',
    [
        (None, 'cuda:1', '1'),
        ('2,3', 'cuda:1', '3'),
        ('GPU-a,GPU-b', 'cuda:0', 'GPU-a'),
        ('2,3', 'cuda', '2,3'),
        ('2,3', 'cpu', ''),
    ],
)
def test_device_is_one_of_those_that_are_visible(
    visible, device, expected, monkeypatch
):
    if visible is None:
        monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    else:
        monkeypatch.setenv('CUDA_VISIBLE_DEVICES', visible)
    variables = environment(device, 3)
    assert variables['CUDA_VISIBLE_DEVICES'] == expected
    assert variables['OMP_NUM_THREADS'] == '3'


def test_device_that_cannot_be_hidden_is_not_called_a_cpu(monkeypatch):
    """mmengine trains on a Mac's, whatever it is told."""
    monkeypatch.setattr('banet.compare.device.get_device', lambda: 'mps')
    monkeypatch.setattr('torch.cuda.device_count', lambda: 0)
    assert check_device(None) == check_device('mps') == 'mps'
    with pytest.raises(TrainingError, match='Use --device mps'):
        check_device('cpu')


def test_origin_is_json_that_a_reader_can_look_at(tmp_path):
    write_origin(tmp_path, row(recipe='a'))
    (file,) = tmp_path.iterdir()
    assert json.loads(file.read_text())['recipe'] == 'a'
