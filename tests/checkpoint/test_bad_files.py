"""Bad files end in one line, and none runs code."""

import pytest
import torch
from checkpoint_files import classifier
from runs import tool
from torch import nn

from banet import CheckpointError
from banet.checkpoint.convert import convert
from banet.checkpoint.formats import open_checkpoint


class Code:
    """A pickle that writes a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), 'w'))


def truncated(path):
    torch.save(classifier(), path)
    path.write_bytes(path.read_bytes()[:-5000])


def truncated_pickle(path):
    torch.save(classifier(), path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:100])


def without_one_conv(path):
    state_dict = classifier()
    del state_dict['layer1.0.conv2.weight']
    torch.save(state_dict, path)


def zip_of_something_else(path):
    import zipfile

    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('readme.txt', 'hello')


def with_nan_block_missing(path):
    state_dict = classifier()
    for name in list(state_dict):
        if name.startswith('layer2.0.attention.'):
            del state_dict[name]
    torch.save(state_dict, path)


def squeeze_excite(path):
    state_dict = classifier(None)
    state_dict['layer1.0.se.fc1.weight'] = torch.ones(2)
    torch.save(state_dict, path)


BAD = {
    'truncated': (truncated, 'is not a checkpoint|damaged'),
    'truncated pickle': (truncated_pickle, 'damaged|would run code'),
    'not whole': (without_one_conv, 'it lacks layer1.0.conv2.weight'),
    'zip of something else': (zip_of_something_else, 'damaged or no checkp'),
    'HTML': (
        lambda path: path.write_text('<!DOCTYPE html><html></html>'),
        r"it starts with b'<!DO'.*Was the download broken off",
    ),
    'empty file': (lambda path: path.touch(), "it starts with b''"),
    'empty dict': (lambda path: torch.save({}, path), 'no tensors by name'),
    'list': (lambda path: torch.save([1], path), 'it holds a list'),
    'no ResNet': (
        lambda path: torch.save(nn.Linear(1, 1).state_dict(), path),
        'no ResNet is in it.*weight, bias',
    ),
    'attention in some blocks': (
        with_nan_block_missing,
        'the attention of 1 blocks is missing: layer2.0',
    ),
    'another attention': (squeeze_excite, 'layer1.0.se.fc1.weight: no part'),
    'missing': (lambda path: None, 'does not exist'),
    'folder': (lambda path: path.mkdir(), 'is a folder'),
    'broken safetensors': (
        lambda path: path.with_suffix('.safetensors').write_bytes(b'x' * 99),
        'damaged or no checkpoint',
    ),
}


@pytest.mark.parametrize('name', BAD)
@pytest.mark.parametrize('script', ['convert', 'inspect'])
def test_bad_file_ends_in_one_line(name, script, tmp_path, monkeypatch):
    make, message = BAD[name]
    make(tmp_path / 'bad.pth')
    suffix = '.safetensors' if 'safetensors' in name else '.pth'
    args = [tmp_path / f'bad{suffix}']
    with pytest.raises(CheckpointError, match=message) as error:
        if script == 'convert':
            convert(*args, tmp_path / 'out.pth')
        else:
            open_checkpoint(*args)
    assert str(args[0]) in str(error.value)
    assert not (tmp_path / 'out.pth').exists()


@pytest.mark.slow
def test_bad_file_ends_a_real_process_with_one_line(tmp_path):
    zip_of_something_else(tmp_path / 'bad.pth')
    for name, target in (
        ('convert_checkpoint.py', ['out.pth']),
        ('inspect_checkpoint.py', []),
    ):
        result = tool(name, 'bad.pth', *target, cwd=tmp_path)
        assert (result.returncode, result.stdout) == (1, '')
        assert len(result.stderr.splitlines()) == 1
        assert result.stderr.startswith(f'{name}: bad.pth is damaged')


@pytest.mark.parametrize('legacy', [False, True])
def test_code_in_a_pickle_does_not_run_without_trust(legacy, tmp_path):
    mark, path = tmp_path / 'ran', tmp_path / 'code.pth'
    raw = dict(state_dict=classifier(), extra=Code(mark))
    torch.save(raw, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(
        CheckpointError, match=r'(names \S*open|damaged).*--trust'
    ):
        open_checkpoint(path)
    assert not mark.exists()
    assert open_checkpoint(path, trust=True).attention == 'BridgeAttentionV2'
    assert mark.exists()
