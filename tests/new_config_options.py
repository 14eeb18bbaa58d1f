"""The options of tools/new_config.py, as its parser gives them."""

from argparse import Namespace


def options(out, **changes):
    values = dict(
        dict.fromkeys(
            ('images', 'labels', 'classes', 'val_data', 'val_images'),
        ),
        val_labels=None,
        val_share=None,
        label_suffix=None,
        keep_empty_classes=False,
        weights='none',
        gpus=1,
        batch=2,
        force=False,
        out=out,
    )
    return Namespace(**{**values, **changes})
