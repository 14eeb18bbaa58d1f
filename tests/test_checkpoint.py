"""Whole checkpoints: recognised, converted without changing a digit, safe."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from mmengine.registry import init_default_scope, MODELS
from mmengine.runner import load_checkpoint
from mmpretrain.models.backbones import ResNetV1d
from test_loading import bridged, images, NARROW, plain, trained, V1, V2
from torch import nn

import banet
from banet import BAResNet, BAResNetV1d, CheckpointError, names
from banet.checkpoint import convert, open_checkpoint

ROOT = Path(__file__).parent.parent


def tool(name, *args, **kwargs):
    return subprocess.run(
        [sys.executable, ROOT / 'tools' / name, *map(str, args)],
        capture_output=True,
        text=True,
        **kwargs,
    )


def classifier(attention=V2, depth=18, **kwargs):
    """State dict of a bare network with ``fc``, under our names."""
    model = bridged(depth, attention=attention, **kwargs)
    fc = trained(nn.Linear(model.feat_dim, 7))
    return {
        **model.state_dict(),
        **{f'fc.{n}': v for n, v in fc.state_dict().items()},
    }


def eccv(state_dict):
    """Names of the ECCV repository, for BasicBlocks of version 1."""
    parts = (
        ('.attention.reductions.0.', '.ba.pre_fusions.0.0.'),
        ('.attention.norms.0.', '.ba.pre_fusions.0.1.'),
        ('.attention.reductions.1.', '.ba.cur_fusion.0.'),
        ('.attention.norms.1.', '.ba.cur_fusion.1.'),
        ('.attention.generation.', '.ba.generation.1.'),
    )
    renamed = {}
    for name, value in state_dict.items():
        for ours, theirs in parts:
            name = name.replace(ours, theirs)
        renamed[name] = value
    return renamed


def reference(state_dict):
    return {
        theirs: state_dict[ours]
        for ours, theirs in names.to_reference(state_dict).items()
    }


def timm_deep(state_dict):
    """timm's names of a ResNet-50-D."""
    renamed = {}
    for name, value in state_dict.items():
        for ours, theirs in (
            ('stem.0.conv', 'conv1.0'),
            ('stem.0.bn', 'conv1.1'),
            ('stem.1.conv', 'conv1.3'),
            ('stem.1.bn', 'conv1.4'),
            ('stem.2.conv', 'conv1.6'),
            ('stem.2.bn', 'bn1'),
            ('layer1.0.downsample.1.', 'layer1.0.downsample.2.'),
            ('layer1.0.downsample.0.', 'layer1.0.downsample.1.'),
        ):
            if name.startswith(ours):
                name = name.replace(ours, theirs)
                break
        renamed[name] = value
    return renamed


def module(state_dict):
    return {f'module.{name}': value for name, value in state_dict.items()}


def mm(state_dict):
    return {
        ('head.' if name.startswith('fc.') else 'backbone.') + name: value
        for name, value in state_dict.items()
    }


# name -> (what the file holds, what it is recognised as)
FORMATS = {
    'BAv2 repository, v2': (
        lambda: {'model': reference(classifier()), 'max_accuracy': 80.5},
        ("BAv2, the BAv2 repository's", 'BridgeAttentionV2'),
    ),
    'BAv2 repository, v1': (
        lambda: {'model': module(reference(classifier(V1)))},
        ("BAv1, the BAv2 repository's", 'BridgeAttentionV1'),
    ),
    'ECCV repository': (
        lambda: {'state_dict': module(eccv(classifier(V1))), 'epoch': 99},
        ("BAv1, the ECCV repository's", 'BridgeAttentionV1'),
    ),
    'bare reference': (
        lambda: reference(classifier(depth=50)),
        ("BAv2, the BAv2 repository's", 'BridgeAttentionV2'),
    ),
    'torchvision': (lambda: classifier(None), ('torchvision', None)),
    'timm': (
        lambda: {'state_dict_ema': classifier(None)},
        ('torchvision, timm', None),
    ),
    'timm, deep stem': (
        lambda: timm_deep(classifier(None, 50, cls=BAResNetV1d)),
        ('timm', None),
    ),
    'mm': (
        lambda: {'meta': {'epoch': 3}, 'state_dict': mm(classifier())},
        ("mm, the backbone under 'backbone.'", 'BridgeAttentionV2'),
    ),
}


@pytest.fixture(scope='module', autouse=True)
def scope():
    init_default_scope('mmpretrain')


@pytest.mark.parametrize('name', FORMATS)
def test_format_is_recognised_and_no_digit_changes(name, tmp_path):
    """All values arrive, in the same order, whatever their names were."""
    make, (label, attention) = FORMATS[name]
    raw = make()
    torch.save(raw, tmp_path / 'source.pth')
    found, path = convert(tmp_path / 'source.pth', tmp_path / 'mm.pth')
    assert label in found.format
    assert found.attention == attention
    written = torch.load(path)['state_dict']
    source = next(
        (
            raw[w]
            for w in ('model', 'state_dict', 'state_dict_ema')
            if w in raw
        ),
        raw,
    )
    assert len(written) == len(source)
    for ours, theirs in zip(written.values(), source.values(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    'attention,depth,to',
    [
        (V2, 18, 'reference'),
        (V2, 50, 'reference'),
        (V1, 18, 'reference'),
        (V1, 50, 'reference'),
        (None, 50, 'torchvision'),
    ],
)
def test_round_trips_are_bit_exact(attention, depth, to, tmp_path):
    source = classifier(attention, depth)
    source = reference(source) if to == 'reference' else source
    torch.save({'model': source}, tmp_path / 'source.pth')
    convert(tmp_path / 'source.pth', tmp_path / 'mm.pth')
    convert(tmp_path / 'mm.pth', tmp_path / 'back.pth', to)
    back = torch.load(tmp_path / 'back.pth')
    back = back['model'] if to == 'reference' else back
    assert list(back) == list(source)
    for name, value in source.items():
        assert torch.equal(back[name], value), name
        assert back[name].dtype == value.dtype


def test_eccv_names_become_those_of_the_bav2_repository(tmp_path):
    source = classifier(V1)
    torch.save(eccv(source), tmp_path / 'source.pth')
    convert(tmp_path / 'source.pth', tmp_path / 'to.pth', 'reference')
    written = torch.load(tmp_path / 'to.pth')['model']
    expected = reference(source)
    assert list(written) == list(expected)
    assert all(torch.equal(written[n], v) for n, v in expected.items())


def test_torchvisions_own_network_becomes_our_classifier(tmp_path):
    """The same logits, through the command line and upstream's loader."""
    torch.manual_seed(0)
    theirs = torchvision.models.resnet18(num_classes=5).eval()
    torch.save(theirs.state_dict(), tmp_path / 'tv.pth')
    result = tool('convert_checkpoint.py', 'tv.pth', 'mm.pth', cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert re.search(r'network +ResNet\ndepth +18\n', result.stdout)
    model = MODELS.build(
        dict(
            type='ImageClassifier',
            backbone=dict(type='BAResNet', depth=18),
            neck=dict(type='GlobalAveragePooling'),
            head=dict(type='LinearClsHead', num_classes=5, in_channels=512),
        )
    ).eval()
    load_checkpoint(model, str(tmp_path / 'mm.pth'), map_location='cpu')
    with torch.no_grad():
        logits = model.head.fc(model.extract_feat(images())[-1])
        torch.testing.assert_close(logits, theirs(images()))


def test_timms_deep_stem_computes_the_same_as_mmpretrains(tmp_path):
    base = plain(50, ResNetV1d)
    base.eval()
    torch.save(timm_deep(base.state_dict()), tmp_path / 'timm.pth')
    model = BAResNetV1d(50, attention=V2, **NARROW).eval()
    report = banet.load_weights(model, tmp_path / 'timm.pth')
    assert report.loaded == report.expected
    with torch.no_grad():
        assert torch.equal(model(images())[-1], base(images())[-1])


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


def test_safetensors_are_read(tmp_path):
    from safetensors.torch import save_file

    state_dict = classifier()
    save_file(state_dict, tmp_path / 'source.safetensors')
    found = open_checkpoint(tmp_path / 'source.safetensors')
    for name, value in found.backbone.items():
        assert torch.equal(value, state_dict[name]), name


def test_moving_average_is_taken_on_request(tmp_path):
    raw, mean = classifier(), classifier()
    mean['conv1.weight'] = mean['conv1.weight'] + 1
    source = tmp_path / 'both.pth'
    torch.save(dict(state_dict=raw, state_dict_ema=mean), source)
    for ema, expected in ((False, raw), (True, mean)):
        found = open_checkpoint(source, ema=ema).backbone['conv1.weight']
        assert torch.equal(found, expected['conv1.weight'])
    torch.save(raw, source)
    with pytest.raises(CheckpointError, match='no moving average'):
        open_checkpoint(source, ema=True)


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


def test_what_is_left_out_of_a_detector_is_told(tmp_path):
    torch.save(
        {'neck.conv.weight': torch.ones(2), **mm(classifier())},
        tmp_path / 'det.pth',
    )
    args = 'det.pth', 'bare.pth', '--task', 'backbone'
    result = tool('convert_checkpoint.py', *args, cwd=tmp_path)
    assert 'left out: neck, the classifier\n' in result.stdout


reads_objects = pytest.mark.skipif(
    not hasattr(torch.serialization, 'get_unsafe_globals_in_checkpoint'),
    reason='torch < 2.6 reads objects of mmengine and numpy with --trust only',
)


@reads_objects
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


def test_api_leaves_out_a_tensor_of_another_shape(tmp_path):
    """A network of grey images, as upstream's loader does."""
    source = bridged()
    torch.save(source.state_dict(), tmp_path / 'rgb.pth')
    model = BAResNet(18, attention=V2, in_channels=1, **NARROW)
    report = banet.load_weights(model, tmp_path / 'rgb.pth')
    assert [text.split()[0] for text in report.mismatched] == ['conv1.weight']
    assert torch.equal(model.bn1.weight, source.bn1.weight)


@reads_objects
def test_inspect_tells_what_a_training_of_mmengines_wrote(tmp_path):
    """Its log and schedulers are objects: they are not run."""
    from mmengine.logging import MessageHub
    from mmengine.optim import MultiStepLR

    hub = MessageHub.get_instance('inspected')
    hub.update_scalar('val/accuracy/top1', 71.5)
    hub.update_scalar('train/loss', 0.3)
    optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.1)
    scheduler = MultiStepLR(optimizer, milestones=[2])
    checkpoint = dict(
        meta=dict(epoch=3, iter=30, version='0.1.0'),
        state_dict=mm(classifier()),
        message_hub=hub.state_dict(),
        param_schedulers=[scheduler.state_dict(), scheduler.__class__],
    )
    torch.save(checkpoint, tmp_path / 'epoch_3.pth')
    result = tool('inspect_checkpoint.py', tmp_path / 'epoch_3.pth')
    model = bridged()
    parameters = sum(p.numel() for p in model.parameters()) + 7 * 129
    found = [line.split('  ', 1) for line in result.stdout.splitlines()]
    assert {key: value.strip() for key, value in found} == {
        'format': "mm, the backbone under 'backbone.' (under 'state_dict')",
        'network': 'BAResNet',
        'depth': '18',
        'attention': 'BridgeAttentionV2 in 8 blocks',
        'classes': '7',
        'tensors': '202',
        'parameters': f'{parameters:,}',
        'written by': 'banet 0.1.0',
        'epoch': '3',
        'iter': '30',
        'accuracy/top1': '71.5',
        'not weights': 'message_hub, param_schedulers',
    }


def test_api_loads_any_format_and_returns_the_report(tmp_path):
    source = classifier(V1)
    torch.save(eccv(source), tmp_path / 'eccv.pth')
    model = BAResNet(18, attention=V1, **NARROW)
    report = banet.load_weights(model, tmp_path / 'eccv.pth')
    assert (report.loaded, report.attention_loaded) == (100, 8)
    for name, value in model.state_dict().items():
        assert torch.equal(value, source[name]), name
    with pytest.raises(TypeError, match='Linear is no backbone of banet'):
        banet.load_weights(nn.Linear(1, 1), tmp_path / 'eccv.pth')


# Bad input


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


def test_nan_is_told(tmp_path):
    state_dict = classifier()
    state_dict['conv1.weight'][0] = float('nan')
    torch.save(state_dict, tmp_path / 'nan.pth')
    result = tool('inspect_checkpoint.py', tmp_path / 'nan.pth')
    assert re.search('WARNING +NaN or infinity in conv1.weight', result.stdout)


def test_existing_target_is_replaced_only_with_force(tmp_path):
    torch.save(classifier(), tmp_path / 'source.pth')
    target = tmp_path / 'target.pth'
    target.write_text('precious')
    with pytest.raises(CheckpointError, match='target.pth exists; --force'):
        convert(tmp_path / 'source.pth', target)
    assert target.read_text() == 'precious'
    convert(tmp_path / 'source.pth', target, force=True)
    assert 'state_dict' in torch.load(target)
    assert {p.name for p in tmp_path.iterdir()} == {'source.pth', 'target.pth'}


@pytest.mark.parametrize('link', [False, True])
def test_source_is_never_the_target(link, tmp_path):
    source = target = tmp_path / 'source.pth'
    torch.save(classifier(), source)
    before = source.read_bytes()
    if link:
        target = tmp_path / 'link.pth'
        target.symlink_to(source)
    with pytest.raises(CheckpointError, match='both source and target'):
        convert(source, target, force=True)
    assert source.read_bytes() == before


def test_missing_folder_is_named_before_the_source_is_read(tmp_path):
    with pytest.raises(CheckpointError, match='folder .*nowhere does not ex'):
        convert(tmp_path / 'source.pth', tmp_path / 'nowhere' / 'out.pth')


def test_full_disk_leaves_nothing(tmp_path):
    """A real process whose files cannot grow beyond 100 kB."""
    torch.save(classifier(), tmp_path / 'source.pth')
    (tmp_path / 'old.pth').write_text('precious')
    code = (
        'import resource, runpy, sys\n'
        'import torch, banet\n'
        'resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n'
        'sys.argv = ["convert_checkpoint.py", *sys.argv[1:]]\n'
        f'sys.path.insert(0, {str(ROOT / "tools")!r})\n'
        'runpy.run_module("convert_checkpoint", run_name="__main__")\n'
    )
    for target in ('new.pth', 'old.pth'):
        result = subprocess.run(
            [sys.executable, '-c', code, 'source.pth', target, '--force'],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 1
        assert f'{target} cannot be written: ' in result.stderr
        assert 'Traceback' not in result.stderr
    assert {p.name for p in tmp_path.iterdir()} == {'source.pth', 'old.pth'}
    assert (tmp_path / 'old.pth').read_text() == 'precious'


UNPRIVILEGED = 65534  # nobody


@pytest.mark.parametrize('what', ['source', 'target', 'closed folder'])
def test_no_permission_is_named(what, tmp_path):
    """In a real process, which gives up root's rights if it has them."""
    source, folder = tmp_path / 'source.pth', tmp_path / 'folder'
    torch.save(classifier(), source)
    folder.mkdir()
    code = (
        'import os, sys\n'
        'from banet.checkpoint import convert\n'
        f'os.geteuid() or os.seteuid({UNPRIVILEGED})\n'
        'try:\n'
        '    convert(sys.argv[1], sys.argv[2])\n'
        'except ValueError as error:\n'
        '    print(error)\n'
    )
    for path in [tmp_path, *tmp_path.parents]:
        if path.stat().st_uid == os.geteuid() and len(path.parts) > 2:
            path.chmod(0o755)
    (source if what == 'source' else folder).chmod(
        0o555 if what == 'target' else 0o000
    )
    result = subprocess.run(
        [sys.executable, '-c', code, source, folder / 'out.pth'],
        capture_output=True,
        text=True,
    )
    folder.chmod(0o755)
    verb = 'read' if what == 'source' else 'written'
    assert f'cannot be {verb}: ' in result.stdout, result.stderr
    assert 'Permission denied' in result.stdout
    assert not list(folder.iterdir())
