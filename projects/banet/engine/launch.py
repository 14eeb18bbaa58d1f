"""Run the upstream library's own train.py or test.py that a config asks for.

Which library that is, the config's ``default_scope`` says. What can be
checked cheaply is checked first, so that a wrong path ends in one line
instead of a traceback after the model was built.
"""

import os
import runpy
import sys
from importlib.util import find_spec
from pathlib import Path

from mmengine.config import Config
from mmengine.device import get_device

from ..apis.config import CONFIG_SUFFIXES, load_config, SCOPES
from ..apis.model import build_model
from ..checkpoint.files import check_file
from ..checkpoint.locate import FETCHED
from ..checkpoint.weights import let_mmengine_unwrap
from ..utils.compat import pip_line
from ..utils.errors import BanetError, CheckpointError
from .paths import check_paths, check_starts, check_truth, LaunchError
from .processes import (
    check_cpu_launch,
    let_ddp_expect_freezing,
    start_gloo,
)
from .silent import check_heads, check_silent
from .start import (
    find_start,
    find_work_dir,
    keep_start,
    resumes,
    resumes_latest,
)
from .workdir import (
    check_owner,
    check_space,
    check_work_dir,
    remove_unfinished,
    settle_last_checkpoint,
    write_whole_files,
)

HELP = """usage: python tools/{tool} CONFIG [options]

Runs the {tool} of the library that CONFIG's default_scope names: mmpretrain,
mmdet or mmseg. Its options: python tools/{tool} CONFIG --help"""
# Where launchers that are not torchrun say which process this is.
RANKS = dict(slurm='SLURM_PROCID', mpi='OMPI_COMM_WORLD_RANK')


def main(tool: str) -> None:
    """Run ``tool`` ('train.py' or 'test.py') with this process's arguments.

    Exits with one line on bad input: before any dataset is built, where that
    can be told from outside.
    """
    if sys.argv[1:] in (['-h'], ['--help']):
        print(HELP.format(tool=tool))
        return
    try:
        path = find_config(sys.argv[1:])
        config = load_config(path)
        upstream = runpy.run_path(str(find_script(config, path, tool)))
        args = upstream['parse_args']()
        if args.config != path:
            raise LaunchError(
                f'{path} was taken for the config, not {args.config}: name '
                'the config first, then the options.'
            )
        config.merge_from_dict(args.cfg_options or {})
        check(config, args)
        if tool == 'train.py':
            prepare_work_dir(config, args)
            keep_start(config, args)
            if resumes(config, args):
                hook = 'default_hooks.last_validation.type=LastValidationHook'
                sys.argv += ['--cfg-options', hook]
            if args.launcher != 'none':
                let_ddp_expect_freezing(config, args)
        if args.launcher == 'pytorch' and get_device() == 'cpu':
            start_gloo(config)
        upstream['main']()
    except BanetError as error:  # of a check here, or of our part in the run
        sys.exit(f'{tool}: {error}')


def find_config(argv: list) -> str:
    """Return the argument that is the config's path.

    Raises:
        LaunchError: There is none.
    """
    words = [w for w in argv if not w.startswith('-')]
    named = [
        w
        for w in words
        if w.endswith(CONFIG_SUFFIXES) and ('=' not in w or os.path.isfile(w))
    ]
    words = [w for w in words if '=' not in w]
    if named:
        # An existing file first: --out results.json may stand before it.
        return min(named, key=lambda word: not os.path.isfile(word))
    found = f'{words[0]} is not a config' if words else 'no config is given'
    raise LaunchError(
        f'{found}. Name a file ending in {", ".join(CONFIG_SUFFIXES)} first, '
        "then the options of the library's own script (--help behind a "
        'config lists them).'
    )


def find_script(config: Config, path: str, tool: str) -> Path:
    """Return the installed script ``tool`` of the config's library.

    Raises:
        LaunchError: No ``default_scope``, an unknown one, or the library or
            its script is not installed.
    """
    scope = config.get('default_scope')
    if scope not in SCOPES:
        raise LaunchError(
            f'{path} has default_scope={scope!r}, which names no library to '
            f'run. Set default_scope to one of {", ".join(SCOPES)}, or '
            'inherit a config that does.'
        )
    spec = find_spec(scope)
    if spec is None or spec.origin is None:  # or an empty namespace
        raise LaunchError(
            f'{path} needs {scope}, which is not installed: '
            f'pip install {pip_line(scope)}.'
        )
    script = Path(spec.origin).parent / '.mim' / 'tools' / tool
    if not script.exists():
        raise LaunchError(
            f'{scope} is installed without {script}: reinstall '
            f'it, pip install {pip_line(scope)}.'
        )
    return script


def check(config: Config, args) -> None:
    """Check what a run needs besides its code.

    Args:
        config (Config): With the command line's options merged in.
        args (Namespace): Parsed by the upstream script's own parser.

    Raises:
        LaunchError: Launcher without what it needs, missing or wrong
            checkpoint, or missing data.
        WorkDirError: The work dir cannot be written, or a training would
            meet the run of another config there.
    """
    if args.launcher == 'pytorch' and get_device() == 'cpu':
        check_cpu_launch(config)
    check_silent(config, args)
    testing = hasattr(args, 'checkpoint')  # test.py; else train.py
    splits: tuple[str, ...]
    if testing:
        checkpoint, splits = args.checkpoint, ('test',)
    else:
        checkpoint, splits = find_start(config, args), ('train',)
        if not getattr(args, 'no_validate', False):
            splits += ('val',)
    if checkpoint:
        check_checkpoint(checkpoint)
        # What lies in a store, mmengine alone can read.
        if '://' not in checkpoint or checkpoint.startswith(FETCHED):
            model = (
                check_heads(config, checkpoint)
                if testing
                else build_model(config)
            )
            let_mmengine_unwrap(model.state_dict().keys())
    for split in splits:
        loader = config.get(f'{split}_dataloader')
        if loader:
            key = f'{split}_dataloader.dataset'
            check_paths(loader.dataset, key, config.default_scope)
            check_truth(config, split)
    work_dir = find_work_dir(config, args)
    if not testing:
        check_starts(config.get('model'))
    check_work_dir(work_dir)
    if not testing:
        check_owner(work_dir, args.config)


def prepare_work_dir(config: Config, args) -> None:
    """Make a training in the work dir one that survives being killed.

    Raises:
        WorkDirError: The disk is too full for one checkpoint.
    """
    write_whole_files()
    path = find_work_dir(config, args)
    if os.environ.get(RANKS.get(args.launcher, 'RANK'), '0') != '0':
        return
    remove_unfinished(path)
    note = settle_last_checkpoint(path) if resumes_latest(config, args) else ''
    if note:
        print(f'train.py: {note}', file=sys.stderr)
    hook = (config.get('default_hooks') or {}).get('checkpoint')
    if not hook:
        return
    model = build_model(config)
    check_space(path, sum(p.numel() for p in model.parameters()))
    if hook.get('max_keep_ckpts') == 1:
        print(
            'train.py: max_keep_ckpts=1 removes the only checkpoint before '
            'the next is written, and a kill in between leaves none. Keep '
            '2: --cfg-options default_hooks.checkpoint.max_keep_ckpts=2',
            file=sys.stderr,
        )


def check_checkpoint(path: str) -> None:
    """Raise LaunchError unless ``path`` could be what torch.save wrote."""
    if '://' in path:  # fetched when it is read
        return
    try:
        check_file(os.path.expanduser(path))  # as mmengine reads it
    except CheckpointError as error:
        raise LaunchError(str(error)) from error
