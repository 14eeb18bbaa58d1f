"""The pages whose commands, code and pictures are tested."""

from runs import ROOT

START = ROOT / 'docs/getting_started.md'  # makes the digits
PAGES = [
    ROOT / 'README.md',
    ROOT / 'README_zh-CN.md',
    START,
    *sorted(p for p in (ROOT / 'docs').glob('*.md') if p != START),
    *sorted((ROOT / 'configs').glob('*/README.md')),
]
