"""Tell what a checkpoint of a (BA-)ResNet holds, without running code in it.

python tools/inspect_checkpoint.py FILE [--trust]
"""

import argparse
import sys

from banet.checkpoint import open_checkpoint
from banet.files import CheckpointError

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('file', metavar='FILE')
    parser.add_argument(
        '--trust', action='store_true', help='run code in FILE, if any'
    )
    args = parser.parse_args()
    try:
        print(open_checkpoint(args.file, args.trust).describe())
    except CheckpointError as error:
        sys.exit(f'inspect_checkpoint.py: {error}')
