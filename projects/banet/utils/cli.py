"""What the command lines in tools/ share."""

import argparse
import signal
import sys
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path

from .errors import BanetError


def make_parser(doc: str) -> argparse.ArgumentParser:
    """A parser whose help begins with a tool's docstring, as it is."""
    return argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def add_trust(parser: argparse.ArgumentParser) -> None:
    """The option of tools that read checkpoints."""
    parser.add_argument(
        '--trust',
        action='store_true',
        help='run code in checkpoints, if any: only with files you trust',
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """The arguments of tools that load a trained model."""
    parser.add_argument('config', metavar='CONFIG')
    parser.add_argument('checkpoint', metavar='CHECKPOINT')
    add_trust(parser)


def at_least_zero(text: str) -> int:
    """The type of options that count what may be none."""
    return _number(text, 0)


def at_least_one(text: str) -> int:
    """The type of options that count something."""
    return _number(text, 1)


def _number(text, least):
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(
            f'{text} is no number from {least} on'
        )
    return int(text)


def run(main: Callable, parser: argparse.ArgumentParser) -> None:
    """Exit with what ``main(args)`` returns, or with one line on bad input."""
    name = Path(sys.argv[0]).name
    # Names of files may hold what no encoding can print.
    if isinstance(sys.stdout, TextIOWrapper):  # not in a notebook
        sys.stdout.reconfigure(errors='backslashreplace')
    try:
        sys.exit(main(parser.parse_args()))
    except (BanetError, OSError) as error:  # as of a disk that is full
        sys.exit(f'{name}: {error}')
    except KeyboardInterrupt:
        print(f'{name}: interrupted', file=sys.stderr)
        sys.exit(128 + signal.SIGINT)  # as a shell reports it
