"""The shipped configs by their names."""

from runs import ROOT

CONFIGS = {
    path.stem: path
    for path in sorted(ROOT.glob('configs/*/*.py'))
    if path.parent.name != 'experiments'  # plans, see tests/compare
}
README = (ROOT / 'README.md').read_text()
SCOPES = dict(
    classification='mmpretrain', detection='mmdet', segmentation='mmseg'
)


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
