"""The shipped configs by their names, and what is listed of them."""

import re

import yaml
from runs import ROOT

CONFIGS = {
    path.stem: path
    for path in sorted(ROOT.glob('configs/*/*.py'))
    if path.parent.name != 'experiments'  # plans, see tests/compare
}
INDEX = yaml.safe_load((ROOT / 'model-index.yml').read_text())
ENTRIES = {
    entry['Name']: entry
    for path in INDEX['Import']
    for entry in yaml.safe_load((ROOT / path).read_text())['Models']
}
# The plain networks, by the names of upstream's configs.
PLAIN = {
    entry['Name']: entry
    for entry in yaml.safe_load((ROOT / 'configs/baselines.yml').read_text())
}
SCOPES = dict(
    classification='mmpretrain', detection='mmdet', segmentation='mmseg'
)


def plain_name(name):
    """``ba-resnet50_8xb32_in1k`` -> ``resnet50_8xb32_in1k``."""
    return re.sub(r'bav?1?-', '', name)


def names(*folders):
    return [
        name for name, path in CONFIGS.items() if path.parent.name in folders
    ]


RECIPES = names('classification', 'detection', 'segmentation')


def flat(value, prefix=''):
    """``{'a.b.0.c': value}``, without mmengine's own scope marks."""
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, (list, tuple))
        else None
    )
    if items is None:
        return {prefix: value}
    result = {}
    for key, child in items:
        if key != '_scope_':
            result.update(flat(child, f'{prefix}.{key}' if prefix else key))
    return result
