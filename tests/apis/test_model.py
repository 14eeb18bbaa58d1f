"""A config's model is built for a look at it, and says so to nobody."""

import logging

from mmengine.logging import MMLogger
from runs import ROOT

from banet.apis.config import load_config
from banet.apis.model import build_model


def test_building_logs_warnings_alone(caplog):
    """The Runner, which builds it once more, has the rest in its log."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.addHandler(caplog.handler)
    config = load_config(
        ROOT / 'configs/classification/ba-resnet50_4xb256-adamw-300e_in1k.py'
    )
    try:
        build_model(config)
    finally:
        logger.removeHandler(caplog.handler)
    assert [r for r in caplog.records if r.levelno < logging.WARNING] == []
    assert logger.level == level
