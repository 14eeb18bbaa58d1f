"""Walk the data of a config before a training does.

    python tools/check_data.py CONFIG [--out DIR] [--workers N] [--fast]
                               [--cfg-options KEY=VALUE ...]

Reads every image and annotation of the config's data sets as the training
would, and writes into DIR: problems.csv with every problem, and a contact
sheet per data set, drawn from what the pipeline gives. The exit code is 1 if
anything would stop a training, make it wrong, or be left out silently.
--fast reads the annotations and sees that the files are there, but decodes no
image and no label.
"""

from pathlib import Path

from mmengine.config import DictAction

from banet.apis.config import load_config
from banet.data import check_data
from banet.utils.cli import at_least_zero, make_parser, run
from banet.utils.outfolder import make_folder


def main(args):
    cfg = load_config(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    out = args.out or Path('work_dirs', 'check_data', Path(args.config).stem)
    make_folder(out)
    report = check_data(cfg, args.workers, out, args.fast)
    report.write(out / 'problems.csv')
    print(*report.lines(), sep='\n')
    print('written:', *report.sheets, out / 'problems.csv')
    print('problems were found' if report.failed else 'the data is fit')
    return report.failed


if __name__ == '__main__':
    parser = make_parser(__doc__)
    parser.add_argument('config')
    parser.add_argument('--out', type=Path, help='folder to write to')
    parser.add_argument(
        '--workers',
        type=at_least_zero,
        default=0,
        help='processes that read files',
    )
    parser.add_argument(
        '--fast', action='store_true', help='decode no image and no label'
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE'
    )
    run(main, parser)
