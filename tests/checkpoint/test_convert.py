"""What conversion writes, leaves out and refuses."""

import hashlib
import re

import numpy as np
import pytest
import torch
from checkpoint_files import classifier, FORMATS, mm
from inputs import needs_new_torch
from resnets import bridged, V1, V2
from runs import tool

import banet
from banet import CheckpointError
from banet.checkpoint.convert import convert
from banet.checkpoint.formats import open_checkpoint


def test_meta_tells_where_the_weights_are_from(tmp_path):
    source = tmp_path / 'source.pth'
    torch.save(FORMATS['ECCV repository'][0](), source)
    convert(source, tmp_path / 'mm.pth')
    meta = torch.load(tmp_path / 'mm.pth')['meta']
    assert meta == dict(
        source='source.pth',
        sha256=hashlib.sha256(source.read_bytes()).hexdigest(),
        format="reference, BAv1, the ECCV repository's names (under "
        "'state_dict', 'module.')",
        network='BAResNet',
        depth=18,
        version=banet.__version__,
        epoch=99,
    )


def test_backbone_alone_is_written_without_prefix(tmp_path):
    torch.save(mm(classifier()), tmp_path / 'mm.pth')
    convert(tmp_path / 'mm.pth', tmp_path / 'bare.pth', task='backbone')
    written = torch.load(tmp_path / 'bare.pth')['state_dict']
    assert list(written) == list(bridged().state_dict())


def test_detector_gives_its_backbone(tmp_path):
    state_dict = {'neck.conv.weight': torch.ones(2), **mm(classifier())}
    del state_dict['head.fc.weight'], state_dict['head.fc.bias']
    torch.save({'state_dict': state_dict}, tmp_path / 'det.pth')
    found, path = convert(
        tmp_path / 'det.pth', tmp_path / 'bare.pth', task='backbone'
    )
    assert list(torch.load(path)['state_dict']) == list(found.backbone)
    with pytest.raises(CheckpointError, match='no classifier .*--task backb'):
        convert(tmp_path / 'det.pth', tmp_path / 'cls.pth')


@pytest.mark.slow
def test_published_file_is_stripped_and_named_by_its_hash(tmp_path):
    source = dict(
        state_dict=mm(classifier()),
        meta=dict(epoch=3),
        optimizer=dict(state={}),
        ema_state_dict=mm(classifier()),
    )
    torch.save(source, tmp_path / 'epoch_3.pth')
    result = tool(
        'convert_checkpoint.py',
        *('epoch_3.pth', 'ba.pth', '--publish'),
        cwd=tmp_path,
    )
    assert 'left out: optimizer, ema_state_dict' in result.stdout
    (path,) = tmp_path.glob('ba*.pth')
    digits = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    assert path.name == f'ba-{digits}.pth'
    assert set(torch.load(path)) == {'meta', 'state_dict'}


@pytest.mark.slow
def test_attention_is_dropped_only_on_request(tmp_path):
    torch.save(classifier(), tmp_path / 'ba.pth')
    args = 'ba.pth', 'tv.pth', '--to', 'torchvision'
    result = tool('convert_checkpoint.py', *args, cwd=tmp_path)
    assert result.returncode == 1
    assert 'torchvision has no attention' in result.stderr
    assert not (tmp_path / 'tv.pth').exists()
    args += ('--drop-attention',)
    result = tool('convert_checkpoint.py', *args, cwd=tmp_path)
    assert 'left out: the attention (this is another network' in result.stdout
    assert set(torch.load(tmp_path / 'tv.pth')) == set(classifier(None))
    with pytest.raises(CheckpointError, match='no names for a network with n'):
        convert(
            *(tmp_path / 'ba.pth', tmp_path / 'ref.pth', 'reference'),
            drop_attention=True,
        )


@pytest.mark.parametrize('kind', [V1, V2], ids=['v1', 'v2'])
def test_norms_that_the_authors_have_not_are_named(kind, tmp_path):
    """A layer norm's weights would be read as a batch norm's."""
    layer_norm = dict(kind, norm_cfg=dict(type='LN'))
    torch.save(classifier(layer_norm), tmp_path / 'ln.pth')
    with pytest.raises(CheckpointError, match=r'norm.* no running statistics'):
        convert(tmp_path / 'ln.pth', tmp_path / 'ref.pth', 'reference')
    assert not (tmp_path / 'ref.pth').exists()


def test_folded_weights_are_recognised_and_not_renamed(tmp_path):
    model = bridged()
    model.switch_to_deploy()
    torch.save(model.state_dict(), tmp_path / 'folded.pth')
    text = open_checkpoint(tmp_path / 'folded.pth').describe()
    assert re.search('attention +bridge attention, folded in 8 blocks', text)
    assert re.search('form +deploy: norms fused', text)
    for to in ('reference', 'torchvision'):
        with pytest.raises(CheckpointError, match=r'is folded \(the deploy'):
            convert(
                *(tmp_path / 'folded.pth', tmp_path / 'out.pth', to),
                task='backbone',
                drop_attention=to == 'torchvision',
            )


@pytest.mark.slow
def test_what_is_left_out_of_a_detector_is_told(tmp_path):
    torch.save(
        {'neck.conv.weight': torch.ones(2), **mm(classifier())},
        tmp_path / 'det.pth',
    )
    args = 'det.pth', 'bare.pth', '--task', 'backbone'
    result = tool('convert_checkpoint.py', *args, cwd=tmp_path)
    assert 'left out: neck, the classifier\n' in result.stdout


@needs_new_torch  # old ones read objects with --trust only
def test_written_files_hold_plain_values_only(tmp_path):
    """As mmseg's metrics are numpy's, which only code could restore."""
    meta = dict(
        epoch=np.int64(3),
        hook_msgs=dict(best_score=np.float64(0.5), names=('a', np.ones(2))),
    )
    raw = dict(state_dict=mm(classifier()), meta=meta)
    torch.save(raw, tmp_path / 'source.pth')
    convert(tmp_path / 'source.pth', tmp_path / 'mm.pth')
    written = torch.load(tmp_path / 'mm.pth', weights_only=True)['meta']
    assert written['hook_msgs'] == dict(best_score=0.5, names=['a'])
    assert (written['epoch'], type(written['epoch'])) == (3, int)
