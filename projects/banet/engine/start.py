"""Where a training begins: with a checkpoint, in its work dir, or anew."""

import os
import sys
from pathlib import Path
from typing import Optional

from mmengine.config import Config

from .workdir import can_resume


def find_start(config: Config, args) -> Optional[str]:
    """The checkpoint that a training is told to begin with, if any.

    None, too, where it goes on from its work dir: upstream finds that one.
    """
    if isinstance(args.resume, str) and args.resume != 'auto':
        return args.resume
    start = config.get('load_from')
    latest = args.resume in ('auto', True)  # mmseg's --resume is a flag
    # Last, for it reads a whole checkpoint.
    if start and latest and can_resume(find_work_dir(config, args)):
        return None
    return start


def find_work_dir(config: Config, args) -> str:
    """Return the folder that the upstream script will write to."""
    return (
        args.work_dir
        or config.get('work_dir')
        or os.path.join('work_dirs', Path(args.config).stem)
    )


def resumes_latest(config: Config, args) -> bool:
    """Whether the run goes on from what ``last_checkpoint`` names."""
    if args.resume in ('auto', True):  # see keep_start
        return True
    resume = config.get('resume') if args.resume is None else args.resume
    return resume is True and not config.get('load_from')


def resumes(config: Config, args) -> bool:
    """Whether the run goes on where an earlier one ended."""
    return bool(config.get('resume') if args.resume is None else args.resume)


def keep_start(config: Config, args) -> None:
    """Let --resume in an empty work dir start from the config's load_from.

    mmdet and mmpretrain drop load_from for it, and would train from scratch,
    but mmpretrain keeps one of the command line. With that, and in mmseg with
    any, they would go on from load_from as if it were a run of its own, in a
    work dir that has one, too.
    """
    start = config.get('load_from')
    path = find_work_dir(config, args)
    flag = args.resume is True
    if not (flag or args.resume == 'auto') or not start:
        return
    if can_resume(path):  # all processes agree in this
        sys.argv += ['--cfg-options', 'load_from=None']
        return
    for i, word in reversed(list(enumerate(sys.argv))):
        option, _, given = word.partition('=')
        # argparse takes beginnings of a name, too.
        if len(option) > 2 and '--resume'.startswith(option):
            after = not given and sys.argv[i + 1 : i + 2] == ['auto']
            del sys.argv[i : i + 1 + (after and not flag)]
    print(
        f'train.py: nothing to resume in {path} yet: the training starts '
        f'from load_from={start}.',
        file=sys.stderr,
    )
