"""Write the tables of the task pages, configs/TASK/README.md.

    python docs/scripts/task_pages.py

Each table lies between ``<!-- table DATASET -->`` and ``<!-- end -->``; what
stands around it is written by hand. Figures of ours come from the metafiles,
those of the plain networks from configs/baselines.yml.
"""

import re
from functools import cache
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
TASKS = ('classification', 'detection', 'segmentation')
METRICS = dict(
    classification=('Top 1 Accuracy',),
    detection=('box AP', 'mask AP'),
    segmentation=('mIoU',),
)
UNITS = dict(
    classification='top-1, %',
    detection='box / mask AP',
    segmentation='mIoU, %',
)
TABLE = re.compile(r'(<!-- table (\S+) -->\n).*?(?=<!-- end -->)', re.S)


@cache
def models():
    """Entries of all metafiles, by name."""
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    return {
        model['Name']: model
        for path in index['Import']
        for model in yaml.safe_load((ROOT / path).read_text())['Models']
    }


@cache
def baselines():
    """Plain networks by the names of their configs."""
    text = (ROOT / 'configs/baselines.yml').read_text()
    return {entry['Name']: entry for entry in yaml.safe_load(text)}


def plain_name(name):
    """``ba-resnet50_8xb32_in1k`` -> ``resnet50_8xb32_in1k``."""
    return re.sub(r'bav?1?-', '', name)


def recipe(metadata):
    """Length of the schedule and images per step."""
    length = (
        f'{metadata["Epochs"]} epochs'
        if 'Epochs' in metadata
        else f'{metadata["Iterations"] // 1000}k iterations'
    )
    return f'{length}, batch {metadata["Batch Size"]}'


def figures(metrics, task):
    """``38.2 / 34.7``; a dash where there is none."""
    values = [str(metrics[name]) for name in METRICS[task] if name in metrics]
    return ' / '.join(values) or '-'


def plain_row(entry, task):
    link = entry.get('URL')
    name = f'[{entry["Name"]}]({link})' if link else entry['Name']
    return (
        f'| {name} | none | {entry["Parameters"]:,} | '
        f'{entry["FLOPs"] / 1e9:.2f} G | {figures(entry["Metrics"], task)}'
        f'{entry.get("Mark", "")} | | |'
    )


def own_row(model, task):
    metrics = {}
    for result in model['Results']:
        metrics |= result['Metrics']
    here = any(
        'not run here' not in result.get('Source', 'not run here')
        for result in model['Results']
    )
    shown = figures(metrics, task)
    path = Path(model['Config'])
    version = 'BAv1' if 'bav1-' in model['Name'] else 'BAv2'
    return (
        f'| [{model["Name"]}]({path.name}) | {version} | '
        f'{model["Metadata"]["Parameters"]:,} | '
        f'{model["Metadata"]["FLOPs"] / 1e9:.2f} G | '
        f'{"-" if here else shown} | {shown if here else "-"} | '
        f'{recipe(model["Metadata"])} |'
    )


def table(task, dataset):
    """Rows of a dataset, each plain network above those with attention."""
    chosen = [
        model
        for model in models().values()
        if model['Config'].startswith(f'configs/{task}/')
        and model['Results'][0]['Dataset'].replace(' ', '-') == dataset
    ]
    chosen.sort(key=lambda m: (plain_name(m['Name']), 'bav1' not in m['Name']))
    lines = [
        f'| config | attention | params | MACs | published {UNITS[task]} | '
        'measured here | recipe |',
        '| --- | --- | --- | --- | --- | --- | --- |',
    ]
    plain, shown = baselines(), None
    for model in chosen:
        if plain_name(model['Name']) != shown:
            shown = plain_name(model['Name'])
            lines.append(plain_row(plain[shown], task))
        lines.append(own_row(model, task))
    return '\n'.join(lines) + '\n'


def page(task):
    """The whole page with its tables made anew."""
    text = (ROOT / 'configs' / task / 'README.md').read_text()
    return TABLE.sub(lambda match: match[1] + table(task, match[2]), text)


if __name__ == '__main__':
    for name in TASKS:
        (ROOT / 'configs' / name / 'README.md').write_text(page(name))
