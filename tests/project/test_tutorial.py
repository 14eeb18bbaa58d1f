"""The notebook runs from its first cell to its last, cut short."""

import nbformat
import pytest
from inputs import needs_new_torch
from nbclient import NotebookClient
from runs import ROOT

PATH = ROOT / 'docs/tutorial.ipynb'
LENGTH = 'EPOCHS, DETECTOR_EPOCHS = 4, 4'
# Its commands in processes that have the libraries already.
RUN = 'subprocess.run(words, capture_output=True, text=True)'
FORKED = f"""sys.path.insert(0, {str(ROOT / 'tests')!r})
    from fork_server import run_script
    result = run_script(*words[1:], cwd=os.getcwd())"""
FEW = (
    '--cfg-options train_dataloader.dataset.indices=8 '
    'val_dataloader.dataset.indices=8 '
)


@pytest.mark.slow
@needs_new_torch  # it exports
def test_tutorial_runs_and_says_what_it_promises(tmp_path):
    for name in ('tools', 'configs'):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/nuclei_mini').symlink_to(ROOT / 'data/nuclei_mini')
    notebook = nbformat.read(PATH, as_version=4)
    (setup,) = (cell for cell in notebook.cells if LENGTH in cell.source)
    for cell in notebook.cells:
        cell.source = cell.source.replace('--cfg-options ', FEW)
    setup.source = setup.source.replace(
        LENGTH, 'EPOCHS, DETECTOR_EPOCHS = 1, 1'
    )
    assert f'result = {RUN}' in setup.source
    setup.source = setup.source.replace(f'result = {RUN}', FORKED)
    NotebookClient(
        notebook,
        timeout=600,
        kernel_name='python3',
        resources=dict(metadata=dict(path=str(tmp_path))),
    ).execute()
    text = '\n'.join(
        output.get('text', '')
        for cell in notebook.cells
        for output in cell.get('outputs', ())
    )
    assert 'largest difference to the plain network: 0.0' in text
    assert text.count('class ') >= 2  # as trained, in deploy mode
    assert (tmp_path / 'work_dirs/tutorial/digits.onnx').is_file()


def test_tutorial_shows_what_it_gave():
    notebook = nbformat.read(PATH, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == 'code']
    assert all(cell.outputs for cell in cells)
    assert not any(
        output.output_type == 'error' for c in cells for output in c.outputs
    )
    pictures = [
        output
        for cell in cells
        for output in cell.outputs
        if 'image/png' in output.get('data', {})
    ]
    assert len(pictures) == 3  # curves, bridges, nuclei
    assert PATH.stat().st_size < 800_000
