"""The one line that tells what was loaded."""

from mmengine.logging import MMLogger
from resnets import bridged, plain


def loading_log(caplog, model, state_dict):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    caplog.clear()
    model.load_state_dict(state_dict, strict=False)
    logger.removeHandler(caplog.handler)
    return [r for r in caplog.records if 'tensors loaded' in r.getMessage()]


def test_each_load_is_logged_once(caplog):
    (record,) = loading_log(caplog, bridged(), plain().state_dict())
    assert record.levelname == 'INFO'
    assert record.getMessage() == (
        'BAResNet: 100 of 100 tensors loaded; attention of blocks: 8 '
        'warm-started (exactly the plain block)'
    )


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
