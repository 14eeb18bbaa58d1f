"""What the libraries do for every run, and tests need once or never."""

from functools import cache

import mmdet
import mmengine.config.utils as utils
import mmpretrain
import mmseg
import yapf.yapflib.yapf_api as yapf
from torch import nn


def keep_metafiles():
    """For each config that inherits from a library's, all are read."""
    utils.load = cache(utils.load)


def read_metafiles():
    """Before processes are forked."""
    keep_metafiles()
    for library in (mmdet, mmpretrain, mmseg):
        folder = f'{library.__path__[0]}/.mim'
        for metafile in utils.load(f'{folder}/model-index.yml')['Import']:
            utils.load(f'{folder}/{metafile}')


def leave_configs_unformatted():
    """A run formats its config five times, for logs and its work dir."""
    yapf.FormatCode = lambda code, **kwargs: (code, True)


def leave_values_and_norms(set_attribute=setattr):
    """To count parameters and multiply-adds: norms have none of these.

    Args:
        set_attribute (Callable): monkeypatch's, for one test alone.
    """
    for kind in ('kaiming_uniform_', 'uniform_', 'normal_', 'trunc_normal_'):
        set_attribute(nn.init, kind, lambda tensor, *args, **kwargs: tensor)
    set_attribute(nn.functional, 'batch_norm', lambda x, *args, **kwargs: x)
