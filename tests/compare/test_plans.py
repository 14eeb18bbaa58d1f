"""Plans compare what they say, and what is wrong with one is named."""

from argparse import Namespace
from pathlib import Path

import pytest
import torch
from comparisons import DATA
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope, MODELS, PARAM_SCHEDULERS
from runs import ROOT

from banet.apis.config import ConfigError
from banet.bridge.block import bridges
from banet.compare.plan import PlanError, read_plan
from banet.engine.silent import check_silent

PLANS = sorted((ROOT / 'configs/experiments').glob('*.py'))
KINDS = dict(
    plain=None,
    se='SqueezeExcitation',
    eca='EfficientChannelAttention',
    bav1='BridgeAttentionV1',
)
RECIPE = "recipe = '{}'\n".format(ROOT / 'configs/demo/ba-resnet18_digits.py')
GOOD = (
    RECIPE
    + """
networks = dict(a=dict(), b=dict(model=dict(backbone=dict(attention=None))))
metrics = [dict(key='accuracy/top1', label='top-1, %')]
seeds = 2
"""
)


def written_plan(folder, text):
    path = folder / 'plan.py'
    path.write_text(text)
    return path


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Folders of the names that plans ask for."""
    folder = tmp_path_factory.mktemp('data')
    for name in DATA:
        (folder / name).mkdir()
    return folder


@pytest.mark.parametrize('path', PLANS, ids=[path.stem for path in PLANS])
def test_networks_are_what_their_names_say(path, data):
    plan = read_plan(path, data)
    for network in plan.networks:
        config = plan.config(network, 0)
        init_default_scope(config.default_scope)
        backbone = MODELS.build(config.model.backbone)
        kind = KINDS.get(network.split('-')[0], 'BridgeAttentionV2')
        found = {type(a).__name__ for _, _, a in bridges(backbone)}
        assert found == ({kind} if kind else set()), network


@pytest.mark.parametrize('path', PLANS, ids=[path.stem for path in PLANS])
def test_images_lie_where_the_plan_is_told(path, data):
    """In wrapped data sets, too."""
    plan = read_plan(path, data)
    (root,) = plan.roots()
    expected = plan.data if plan.data else Path('data/digits')
    assert root == expected


@pytest.mark.parametrize('path', PLANS, ids=[path.stem for path in PLANS])
def test_networks_of_a_plan_differ_in_the_backbone_and_its_training_alone(
    path, data
):
    plan = read_plan(path, data)
    base = plan.config(plan.baseline, 0)
    allowed = {'model', 'optim_wrapper', 'custom_hooks', 'randomness'}
    for network in plan.networks:
        config = plan.config(network, 0)
        for key in base.keys() | config.keys():
            assert key in allowed or base.get(key) == config.get(key), key
        for key in base.model.keys() | config.model.keys():
            assert key == 'backbone' or base.model[key] == config.model[key]


@pytest.mark.parametrize('path', PLANS, ids=[path.stem for path in PLANS])
def test_nothing_in_a_network_is_without_effect(path, data):
    plan = read_plan(path, data)
    for network in plan.networks:
        assert check_silent(plan.config(network, 0), Namespace()) is None


@pytest.mark.parametrize('task', ['nuclei', 'camvid'])
def test_attention_learns_ten_times_as_fast_at_each_moment(task, data):
    path = ROOT / f'configs/experiments/finetune_{task}.py'
    config = read_plan(path, data).config('bav2-lr10', 0)
    init_default_scope(config.default_scope)
    model = MODELS.build(config.model)
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    names = {weight: name for name, weight in model.named_parameters()}
    rates = {name: [] for name in names.values()}
    schedules = []
    for step in config.param_scheduler:
        step = dict(step)
        if step.pop('convert_to_iter_based', False):
            cls = PARAM_SCHEDULERS.get(step.pop('type'))
            length = dict(epoch_length=10)
            schedules.append(
                cls.build_iter_from_epoch(wrapper, **step, **length)
            )
        else:
            schedules.append(
                PARAM_SCHEDULERS.build(dict(step, optimizer=wrapper))
            )
    for _ in range(80):
        wrapper.optimizer.step()
        for group in wrapper.optimizer.param_groups:  # of one each
            rates[names[group['params'][0]]].append(group['lr'])
        for schedule in schedules:
            schedule.step()
    learning = {name: found for name, found in rates.items() if found}
    own = [v for name, v in learning.items() if '.attention.' in name]
    others = [v for name, v in learning.items() if '.attention.' not in name]
    assert own and len(set(map(tuple, others))) == 1
    assert len(set(others[0])) > 40  # the schedule moves
    for found in own:
        assert found == pytest.approx([10 * r for r in others[0]], rel=1e-9)


def test_recipes_id_changes_with_the_recipe_and_not_with_a_network(tmp_path):
    def recipe_id(text):
        return read_plan(written_plan(tmp_path, text), None).recipe_id()

    first = recipe_id(GOOD)
    assert recipe_id(GOOD.replace('b=dict', 'c=dict')) == first
    other = GOOD.replace('ba-resnet18_digits', 'resnet18_digits')
    assert recipe_id(other) != first


def test_a_recipes_own_variables_are_no_part_of_it(tmp_path):
    """So that it can be tidied up without losing its rows."""

    def recipe_id(lines):
        recipe = tmp_path / 'recipe.py'
        demo = ROOT / 'configs/demo/ba-resnet18_digits.py'
        recipe.write_text(f'_base_ = {str(demo)!r}\n{lines}')
        text = GOOD.replace(RECIPE, f'recipe = {str(recipe)!r}\n')
        return read_plan(written_plan(tmp_path, text), None).recipe_id()

    first = recipe_id('')
    assert recipe_id('width = 32\n') == first
    assert recipe_id('train_cfg = dict(max_epochs=7)\n') != first


def test_data_moves_without_another_recipe(tmp_path):
    ids = set()
    for name in ('here', 'josé'):
        (tmp_path / name / 'mine').mkdir(parents=True)
        plan = written_plan(tmp_path, GOOD + "data = 'mine'\n")
        plan = read_plan(plan, tmp_path / name)
        assert plan.config('a', 0).train_dataloader.dataset.data_root == str(
            tmp_path / name / 'mine'
        )
        ids.add(plan.recipe_id())
    assert len(ids) == 1


@pytest.mark.parametrize(
    'text,message',
    [
        (
            "recipe = 'x.py'\n",
            'is no plan: it lacks metrics, networks. A plan',
        ),
        (GOOD + 'seed = 3\n', 'is no plan: it has seed. A plan has recipe, '),
        (GOOD.replace(RECIPE, "recipe = 'no.py'\n"), 'no.py does not exist'),
        (GOOD + "baseline = 'c'\n", "baseline='c' is none of its networks, a"),
        (GOOD + 'seeds = 0\n', 'seeds=0 must be how many'),
        (GOOD + 'seeds = [1, 1]\n', 'seeds=.1, 1. must be how many'),
        (GOOD + 'seeds = True\n', 'seeds=True must be how many'),
        (GOOD + 'seeds = 2.5\n', 'seeds=2.5 must be how many'),
        (GOOD + 'metrics = []\n', 'metrics=.. are none'),
        (GOOD + "networks = ['a']\n", 'networks=..a.. must be a dict'),
        (GOOD + "metrics = ['top1']\n", "the metric 'top1' must be a dict of"),
        (
            GOOD + 'start = dict(x=1)\n',
            'must be a dict of plan, network, seed',
        ),
        (GOOD + "data = 'none'\n", 'needs images: name the folder that holds'),
        ('networks = \n', 'cannot be read as a config: SyntaxError'),
    ],
)
def test_what_is_wrong_with_a_plan_is_named(text, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        read_plan(written_plan(tmp_path, text), None)


def test_folder_without_the_plans_data_is_named(tmp_path):
    plan = written_plan(tmp_path, GOOD + "data = 'mine'\n")
    with pytest.raises(PlanError, match='holds no folder mine: unpack it'):
        read_plan(plan, tmp_path)


@pytest.mark.parametrize('path', PLANS, ids=[path.stem for path in PLANS])
def test_the_schedule_ends_where_the_training_ends(path, data):
    """Built as the Runner does it: a wrong key would be found hours later."""
    plan = read_plan(path, data)
    config = plan.config(plan.baseline, 0)
    init_default_scope(config.default_scope)
    length = config.train_cfg.get('max_epochs') or config.train_cfg.max_iters
    weight = torch.nn.Parameter(torch.zeros(1))
    schedulers = config.param_scheduler
    for options in [schedulers] if hasattr(schedulers, 'type') else schedulers:
        options = {k: v for k, v in options.items() if k != '_scope_'}
        kind = PARAM_SCHEDULERS.get(options.pop('type'))
        if 'milestones' in options:
            assert max(options['milestones']) < length
            continue
        total = options.get('total_steps', options.get('end'))
        if kind is not PARAM_SCHEDULERS.get('LinearLR'):  # a warm-up
            assert total == length
        optimizer = torch.optim.SGD([weight], lr=0.1)
        if options.pop('convert_to_iter_based', False):
            scheduler = kind.build_iter_from_epoch(
                optimizer=optimizer, epoch_length=7, **options
            )
            factor = 7
        else:
            scheduler, factor = kind(optimizer, **options), 1
        built = getattr(scheduler, 'total_steps', scheduler.end)
        assert built == factor * total


def test_runs_of_a_seed_see_the_same_images(data):
    """The augmentation's random numbers come from worker processes, or from
    generators seeded by epochs: neither depends on how many numbers a network
    took to be built."""
    for path in PLANS:
        plan = read_plan(path, data)
        config = plan.config(plan.baseline, 3)
        seeded = dict(type='EpochSeedHook') in config.get('custom_hooks', [])
        assert seeded or config.train_dataloader.num_workers >= 1, path
        assert config.randomness.seed == 3


def test_data_lies_where_the_data_sets_say(tmp_path):
    """As in configs that tools/new_config.py writes."""
    recipe = tmp_path / 'recipe.py'
    recipe.write_text(
        "train_dataloader = dict(dataset=dict(ann_file='/a/train.json', "
        "data_root='', data_prefix=dict(img='/a/images')))\n"
        "val_dataloader = dict(dataset=dict(data_root='/b', data_prefix='c', "
        "ann_file='/d.txt'))\n"
    )
    text = GOOD.replace(RECIPE, "recipe = 'recipe.py'\n")
    plan = read_plan(written_plan(tmp_path, text), None)
    roots = ['/a/images', '/a/train.json', '/b', '/d.txt']
    assert list(map(str, plan.roots())) == roots
    with pytest.raises(PlanError, match='reads /a/images, which does not ex'):
        plan.check_data()


def test_data_in_a_store_is_left_to_who_reads_it(tmp_path):
    recipe = tmp_path / 'recipe.py'
    recipe.write_text(
        "train_dataloader = dict(dataset=dict(data_root='s3://bucket/a'))\n"
    )
    text = GOOD.replace(RECIPE, "recipe = 'recipe.py'\n")
    plan = read_plan(written_plan(tmp_path, text), None)
    assert plan.roots() == []
    plan.check_data()


def test_every_evaluators_annotations_move_with_the_data(tmp_path):
    recipe = tmp_path / 'recipe.py'
    recipe.write_text(
        "val_dataloader = dict(dataset=dict(datasets=[dict(data_root='data/a')"
        ", dict(data_root='data/a/x')]))\n"
        "val_evaluator = [dict(type='A', ann_file='data/a/x/val.json'), "
        "dict(type='B'), dict(type='C', ann_file=None), "
        "dict(type='D', ann_file='data/another.json'), "
        "dict(metrics=[dict(type='E', ann_file='data/a/x/val.json')])]\n"
    )
    (tmp_path / 'mine').mkdir()
    text = GOOD.replace(RECIPE, "recipe = 'recipe.py'\n") + "data = 'mine'\n"
    plan = read_plan(written_plan(tmp_path, text), tmp_path)
    *found, last = plan.config('a', 0).val_evaluator
    moved = str(tmp_path / 'mine/val.json')
    assert [e.get('ann_file') for e in found] == [
        moved,
        None,
        None,
        'data/another.json',
    ]
    assert last.metrics[0].ann_file == moved


@pytest.mark.parametrize('seeds', ['3', '[0, 1, 2]', '(0, 1, 2)', 'range(3)'])
def test_seeds_are_how_many_or_which(seeds, tmp_path):
    text = GOOD.replace('seeds = 2', f'seeds = {seeds}')
    assert read_plan(written_plan(tmp_path, text), None).seeds == (0, 1, 2)
