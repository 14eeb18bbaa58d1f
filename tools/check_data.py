"""Walk the data of a config before a training does.

    python tools/check_data.py CONFIG [--out DIR] [--workers N]
                               [--cfg-options KEY=VALUE ...]

Reads every image and annotation of the config's data sets as the training
would, and writes into DIR: problems.csv with every problem, and a contact
sheet per data set, drawn from what the pipeline gives. The exit code is 1 if
anything would stop a training, make it wrong, or be left out silently.
"""

import argparse
import sys
from pathlib import Path

from mmengine.config import DictAction

from banet.config import ConfigError, load_config
from banet.datacheck import check_data, CheckError


def main(args):
    cfg = load_config(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    out = args.out or Path('work_dirs', 'check_data', Path(args.config).stem)
    out.mkdir(parents=True, exist_ok=True)
    report = check_data(cfg, args.workers, out)
    report.write(out / 'problems.csv')
    print(*report.lines(), sep='\n')
    print('written:', *report.sheets, out / 'problems.csv')
    print('problems were found' if report.failed else 'the data is fit')
    return report.failed


if __name__ == '__main__':
    parser = argparse.ArgumentParser(
        description=__doc__.split('\n\n')[0],
    )
    parser.add_argument('config')
    parser.add_argument('--out', type=Path, help='folder to write to')
    parser.add_argument(
        '--workers', type=int, default=0, help='processes that read files'
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE'
    )
    try:
        sys.exit(main(parser.parse_args()))
    except (CheckError, ConfigError, OSError) as error:
        sys.exit(f'check_data.py: {error}')
