"""The docs as a site: ``make docs``.

The source folder is the repository, so that links between docs, configs and
code are the same on the site and in the repository.
"""

import re
from pathlib import Path

from banet import __version__

ROOT = Path(__file__).resolve().parents[1]

project = 'BA-Net for OpenMMLab'
copyright = 'the BA-Net for OpenMMLab contributors'
release = __version__
# index.md with the site's contents, which GitHub would show as code.
root_doc = 'docs/contents'
include_patterns = [
    'docs/**',
    'configs/*/README.md',
    'data/*/README.md',
    'projects/banet/README.md',
    'tests/README.md',
    '.github/CONTRIBUTING.md',
    'CHANGELOG.md',
    'SECURITY.md',
]
exclude_patterns = [
    '.venv*',
    'build',
    'dist',
    'work_dirs',
    '**/.mim',
    'docs/index.md',
]

extensions = [
    'myst_nb',
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
]
nb_execution_mode = 'off'  # a test executes the notebook
myst_heading_anchors = 4
autodoc_typehints = 'none'  # docstrings have types and shapes
autodoc_member_order = 'bysource'
html_theme = 'furo'
html_title = project
html_show_sourcelink = False


def without_folders(app, docname, source):
    """On a site a link to a folder leads nowhere: only its text stays."""
    here = (ROOT / docname).parent

    def text(match):
        folder = (here / match[2]).is_dir()
        return match[1] if folder else match[0]

    source[0] = re.sub(r'\[([^\]]+)\]\(([\w./-]+)\)', text, source[0])


def setup(app):
    app.connect('source-read', without_folders)
