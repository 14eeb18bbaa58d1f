"""Checkpoints behind an address are fetched, and read as any other file."""

import http.server
import threading
from functools import partial

import pytest
import torch
from mmengine.runner.checkpoint import CheckpointLoader, load_checkpoint
from resnets import bridged
from runs import stopped, TASKS
from safetensors.torch import save_file

import banet
from banet import BAResNet, CheckpointError, load_weights
from banet.checkpoint.locate import locate
from banet.checkpoint.weights import let_mmengine_unwrap


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder behind http://127.0.0.1, which counts what is fetched."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'hub'))
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    fetched = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            fetched.append(self.path)

    folder = tmp_path / 'served'
    folder.mkdir()
    handler = partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f'http://127.0.0.1:{server.server_port}', fetched
        server.shutdown()


def test_addresses_are_fetched_once(server):
    folder, address, fetched = server
    state = bridged().state_dict()
    torch.save(state, folder / 'x.pth')
    kwargs = dict(base_channels=16, stem_channels=16)
    kwargs['attention'] = dict(type='BridgeAttentionV2', ratio=4)
    for _ in range(2):
        model = banet.features(18, weights=f'{address}/x.pth', **kwargs)
        assert torch.equal(model.conv1.weight, state['conv1.weight'])
    assert fetched == ['/x.pth']
    with pytest.raises(CheckpointError, match='gone.pth cannot be fetched'):
        load_weights(model, f'{address}/gone.pth')


def test_files_of_one_name_are_told_apart(server):
    folder, address, fetched = server
    for run in ('a', 'b'):
        (folder / run).mkdir()
        (folder / run / 'latest.pth').write_text(run)
    names = 'a/latest.pth', 'b/latest.pth', 'b/latest.pth?download=1'
    files = [locate(f'{address}/{name}') for name in names]
    assert [file.read_text() for file in files] == ['a', 'b', 'b']
    assert len(set(files)) == len(fetched) == 3
    # A hash in the name tells them apart already: PyTorch's file serves.
    (folder / 'c-0123abcd.pth').write_text('c')
    assert locate(f'{address}/c-0123abcd.pth').name == 'c-0123abcd.pth'


def test_unknown_addresses_are_named():
    for path, message in (
        ('torchvision://resnet19', 'is unknown; near it are resnet'),
        ('s3://bucket/x.pth', 'cannot be fetched: name a file'),
    ):
        with pytest.raises(CheckpointError, match=message):
            load_weights(BAResNet(18), path)


def test_mmengine_finds_wrapped_weights_behind_an_address(
    server, mmengines_loader
):
    """In load_from; mmengine alone would keep random weights."""
    folder, address, _ = server
    state = bridged().state_dict()
    torch.save({'best_weights': state, 'meta': None}, folder / 'x.pth')
    model = bridged()
    torch.nn.init.zeros_(model.conv1.weight)
    let_mmengine_unwrap(model.state_dict().keys())
    load_checkpoint(model, f'{address}/x.pth', map_location='cpu')
    assert torch.equal(model.conv1.weight, state['conv1.weight'])


def test_test_measures_no_random_head_of_an_address(
    server, checkpoints, tmp_path, monkeypatch
):
    folder, address, _ = server
    state = torch.load(checkpoints['cls'], weights_only=False)['state_dict']
    head = {n: v for n, v in state.items() if not n.startswith('head.')}
    torch.save({'state_dict': head}, folder / 'x.pth')
    args = TASKS['cls'][0], f'{address}/x.pth', '--work-dir', tmp_path
    assert 'head.fc.weight' in stopped(monkeypatch, 'test.py', *args)


def test_mmengine_tells_files_of_one_name_apart_and_reads_safetensors(server):
    """In an init_cfg, too; by itself it keeps the first for all."""
    folder, address, fetched = server
    for value, run in enumerate(('a', 'b')):
        (folder / run).mkdir()
        weights = dict(weight=torch.full((2,), float(value)))
        torch.save(weights, folder / run / 'latest.pth')
        save_file(weights, folder / run / 'latest.safetensors')
        for _ in range(2):
            for suffix in ('pth', 'safetensors'):
                url = f'{address}/{run}/latest.{suffix}'
                found = CheckpointLoader.load_checkpoint(url)
                assert found['weight'].tolist() == [value, value]
    assert len(fetched) == 4
