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


def test_data_preprocessor_may_name_its_type(tmp_path):
    """As upstream's Runner takes it."""
    path = tmp_path / 'mine.py'
    demo = ROOT / 'configs/demo/ba-resnet18_digits.py'
    path.write_text(
        f'_base_ = {str(demo)!r}\n'
        'data_preprocessor = dict('
        "type='ClsDataPreprocessor', mean=[1, 2, 3])\n"
    )
    model = build_model(load_config(str(path)))
    assert model.data_preprocessor.mean.flatten().tolist() == [1, 2, 3]
