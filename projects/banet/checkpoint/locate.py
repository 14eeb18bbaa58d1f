"""Checkpoints that lie elsewhere: ``torchvision://`` and ``http(s)://``."""

import hashlib
import os
import re
import sys
from pathlib import Path
from typing import Union

import torch
from mmengine.runner.checkpoint import get_torchvision_models

from ..utils.errors import CheckpointError
from ..utils.text import shorten

TORCHVISION = 'torchvision://'
FETCHED = (TORCHVISION, 'http://', 'https://')
# A name with its content's hash, as PyTorch and OpenMMLab publish files.
HASHED = re.compile(r'-[0-9a-f]{8,}\.')


def locate(path: Union[str, Path]) -> Path:
    """A file on this machine: ``path`` itself, or what was fetched from it.

    Fetched files are kept where PyTorch keeps its own, and taken from there
    the next time: under their own name if it holds a hash, else under one
    that their address tells apart.

    Args:
        path (str | Path): A file, ``http://...``, ``https://...``, or
            ``torchvision://NAME`` as in an ``init_cfg``.

    Raises:
        CheckpointError: Unknown name or scheme, or it cannot be fetched.
    """
    text = str(path)
    if '://' not in text:
        return Path(path).expanduser()
    if text.startswith(TORCHVISION):
        name, known = text.removeprefix(TORCHVISION), get_torchvision_models()
        if name not in known:
            near = [n for n in known if n.startswith(name[:6])]
            raise CheckpointError(
                f'{text} is unknown; near it are {shorten(near) or "none"}.'
            )
        text = known[name]
        file = os.path.basename(text)
    else:
        file = os.path.basename(text.partition('?')[0])
        if not HASHED.search(file):  # there may be others of its name
            digest = hashlib.sha256(text.encode()).hexdigest()[:8]
            file = f'{digest}-{file}'
    if not text.startswith(FETCHED):
        raise CheckpointError(
            f'{text} cannot be fetched: name a file, torchvision://, http:// '
            'or https://.'
        )
    kept = Path(torch.hub.get_dir(), 'checkpoints', file)
    if not kept.is_file():
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(
                text, str(kept), progress=sys.stderr.isatty()
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f'{text} cannot be fetched: {error}.'
            ) from error
    return kept
