"""The guides of docs/extend: what they say, done in a folder like a clone.

A guide's files are those that it tells its reader to save or to extend. They
go into that folder, where the guide's commands run as they stand.
"""

import re
import shutil

import runs
from runs import ROOT

GUIDES = {
    path.stem: path.read_text() for path in (ROOT / 'docs/extend').glob('*.md')
}
BLOCK = re.compile(r'^```(\w+)\n(.*?)^```', re.M | re.S)
STEP = re.compile(
    r'^(Save this as|Add this to the end of) [^\n]*?'
    r'`([\w./-]+\.(?:py|yml))`[^\n]*:\n\n```\w+\n(.*?)^```',
    re.M | re.S,
)


def steps(guide):
    """What a guide tells to do with which file: (verb, path, text)."""
    return STEP.findall(GUIDES[guide])


def commands(guide):
    """Lines of a guide's bash blocks."""
    return [
        line
        for language, text in BLOCK.findall(GUIDES[guide])
        if language == 'bash'
        for line in text.splitlines()
    ]


def write_files(guide, folder):
    """Do what the guide says with files."""
    for verb, path, text in steps(guide):
        if verb == 'Save this as':
            (folder / path).write_text(text)
        else:
            with open(folder / path, 'a') as file:
                file.write(text)


def shell(line, folder):
    """What a command prints there, in an activated environment."""
    result = runs.shell(line, cwd=folder)
    output = result.stdout + result.stderr
    assert result.returncode == 0, f'{line}\n{output[-3000:]}'
    return output


def make_clone(folder, *copied):
    """A folder like a clone, of which only the ``copied`` may change."""
    for name in (
        'tools',
        'configs',
        'docs',
        'tests',
        'model-index.yml',
        'README.md',
    ):
        if name not in copied:
            (folder / name).symlink_to(ROOT / name)
        elif (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name)
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder
