"""The one line that tells what was loaded."""

import pytest
from mmengine.logging import MMLogger
from mmpretrain.models.backbones import SEResNet
from resnets import bridged, NARROW, plain, V2

from banet import BAResNet


def loading_log(caplog, model, state_dict):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    caplog.clear()
    model.load_state_dict(state_dict, strict=False)
    logger.removeHandler(caplog.handler)
    return [r for r in caplog.records if 'tensors loaded' in r.getMessage()]


def test_each_load_is_logged_once(caplog):
    model = BAResNet(18, attention=V2, **NARROW)
    (record,) = loading_log(caplog, model, plain().state_dict())
    assert record.levelname == 'INFO'
    assert record.getMessage() == (
        'BAResNet: 100 of 100 tensors loaded; attention of blocks: 8 '
        'warm-started (exactly the plain block)'
    )


def test_attention_that_is_lost_is_a_warning(caplog):
    """Trained, or loaded: plain weights begin anew."""
    trained = bridged()
    loaded = BAResNet(18, attention=V2, **NARROW)
    loaded.load_state_dict(BAResNet(18, attention=V2, **NARROW).state_dict())
    for model in (trained, loaded):
        (record,) = loading_log(caplog, model, plain().state_dict())
        assert record.levelname == 'WARNING'
        assert '8 blocks lose the attention that' in record.getMessage()
        # Now there is nothing to lose.
        (record,) = loading_log(caplog, model, plain().state_dict())
        assert record.levelname == 'INFO'


def test_attention_is_kept_without_a_warm_start(caplog):
    model = bridged(warm_start=False)
    before = model.layer1[0].attention.generation.weight.clone()
    (record,) = loading_log(caplog, model, plain().state_dict())
    assert 'lose' not in record.getMessage()
    assert model.layer1[0].attention.generation.weight.equal(before)


def test_part_of_a_network_is_loaded_with_a_warning(caplog):
    """What was loaded, what was not, and why that may be wrong."""
    given = bridged().state_dict()
    part = {k: v for k, v in given.items() if k.startswith('layer4.')}
    (record,) = loading_log(caplog, bridged(), part)
    assert record.levelname == 'WARNING'
    assert 'BAResNet: 25 of 100 tensors loaded' in record.getMessage()
    assert 'missing: conv1.weight' in record.getMessage()


def test_report_names_what_is_missing_and_what_is_not_used(caplog):
    given = plain().state_dict()
    given['fc.weight'] = given.pop('conv1.weight')
    (record,) = loading_log(caplog, bridged(), given)
    assert record.levelname == 'WARNING'
    assert 'missing: conv1.weight' in record.getMessage()
    assert 'unexpected: fc.weight' in record.getMessage()


def test_report_warns_of_nan(caplog):
    given = plain().state_dict()
    given['layer3.0.conv1.weight'][0, 0, 0, 0] = float('nan')
    (record,) = loading_log(caplog, bridged(), given)
    assert record.levelname == 'WARNING'
    assert 'not finite: layer3.0.conv1.weight' in record.getMessage()


def test_report_names_another_shape_of_the_stem(tmp_path, caplog):
    """Grey images: upstream's loader skips the tensor."""
    model, given = bridged(in_channels=1), plain().state_dict()
    report = model.coverage(given)
    assert report.mismatched == (
        'conv1.weight (16, 3, 7, 7), the model has (16, 1, 7, 7)',
    )
    assert (report.loaded, report.expected) == (99, 100)


def test_attention_that_a_plain_network_drops_is_a_warning(caplog):
    given = bridged().state_dict()
    (record,) = loading_log(caplog, bridged(attention=None), given)
    assert record.levelname == 'WARNING'
    assert 'unexpected: layer1.0.attention.' in record.getMessage()


@pytest.mark.parametrize('attention', [None, V2])
def test_another_kind_of_block_is_a_warning(attention, caplog):
    """All that ours has is there, and still they are not its weights."""
    theirs = plain(50, SEResNet).state_dict()
    (record,) = loading_log(caplog, bridged(50, attention=attention), theirs)
    assert record.levelname == 'WARNING'
    assert 'unexpected: layer1.0.se_layer.' in record.getMessage()
