"""What is compared: a plan, which is a small config."""

import copy
import hashlib
import inspect
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Optional

from mmengine.config import Config
from mmengine.runner import Runner

from ..apis.config import ConfigError, load_config
from .data import move_data, roots_of

KEYS = 'recipe', 'networks', 'seeds', 'baseline', 'metrics', 'data', 'start'
METRIC = 'key', 'label', 'factor'
RUNNER = inspect.signature(Runner).parameters


class PlanError(ConfigError):
    """What is wrong with a plan, with its remedy."""


@dataclass(frozen=True)
class Metric:
    """What is compared.

    Attributes:
        key (str): As the training logs it, such as ``accuracy/top1``.
        label (str): As the table shows it, with its unit; larger is
            better.
        factor (float): From the one to the other.
    """

    key: str
    label: str
    factor: float = 1


@dataclass(frozen=True)
class Start:
    """Where the backbones come from: the runs of another plan.

    Attributes:
        plan (str): Its name.
        network (str | None): Its network; None: the one of the same name.
        seed (int | None): Its seed; None: the same one.
    """

    plan: str
    network: Optional[str] = None
    seed: Optional[int] = None


@dataclass(frozen=True)
class Plan:
    """A comparison.

    Attributes:
        path (str): The config's, as it was named.
        recipe (Path): Config that all networks are trained by.
        networks (dict): Name to what is merged into the recipe; a dict with
            a ``type`` takes the place of what stood there.
        seeds (tuple[int]): Of each network; runs of one seed see the same
            images in the same order.
        baseline (str): Name of the network that the others are compared with.
        metrics (tuple[Metric]): What is compared.
        data (Path | None): Folder that is the datasets' ``data_root``; None
            leaves the recipe's.
        start (Start | None): Where the backbones' weights come from.
    """

    path: str
    recipe: Path
    networks: dict[str, dict]
    seeds: tuple[int, ...]
    baseline: str
    metrics: tuple[Metric, ...]
    data: Optional[Path]
    start: Optional[Start]

    @property
    def name(self) -> str:
        """The config's, without its suffix."""
        return Path(self.path).stem

    def config(self, network: str, seed: int) -> Config:
        """The recipe for one run, without its start."""
        config = copy.deepcopy(self._common)
        _merge(config, self.networks[network])
        config.merge_from_dict({'randomness.seed': seed})
        return config

    def recipe_id(self) -> str:
        """Changes with anything that all networks have in common.

        Not with a recipe's own variables, such as a width: what they are
        used for is in what the Runner gets.
        """
        config = self._common.to_dict()
        used = {key: config[key] for key in config if key in RUNNER}
        text = _dump(used)
        if self.data:
            # Where the images lie is no part of how they are trained on.
            text = text.replace(_dump(str(self.data))[1:-1], '')
        text += repr(self.start)
        return hashlib.sha256(os.fsencode(text)).hexdigest()[:12]

    def network_id(self, network: str) -> str:
        """What makes this network, as text."""
        return json.dumps(self.networks[network], sort_keys=True)

    @cached_property
    def _common(self):
        config = load_config(str(self.recipe))
        if self.data:
            move_data(config, self.data)
        return config

    def roots(self) -> list[Path]:
        """The folders of the data, all splits'."""
        return roots_of(self._common)

    def check_data(self) -> None:
        """Raise PlanError if a folder of the data is not there."""
        for root in self.roots():
            if not root.exists():
                raise PlanError(
                    f'{self.recipe} reads {root}, which does not exist: make '
                    'or unpack it first (tools/prepare_digits.py makes '
                    'data/digits).'
                )


def read_plan(path: Path, data: Optional[Path]) -> Plan:
    """Read and check a plan.

    Args:
        path (Path): A config with the keys of :class:`Plan`, and names with
            an underscore for itself.
        data (Path | None): Folder that holds the plan's ``data`` folder.

    Raises:
        PlanError: A key is missing, unknown or wrong, or there is no data.
    """
    config = load_config(str(path))
    unknown = {key for key in config if key[0] != '_'} - set(KEYS)
    missing = {'recipe', 'networks', 'metrics'} - set(config.keys())
    if unknown or missing:
        raise PlanError(
            f'{path} is no plan: '
            + '; '.join(
                f'{what} {", ".join(sorted(keys))}'
                for what, keys in (('it lacks', missing), ('it has', unknown))
                if keys
            )
            + f'. A plan has {", ".join(KEYS)}.'
        )
    if not isinstance(config.networks, dict) or not config.networks:
        raise PlanError(
            f'{path}: networks={config.networks!r} must be a dict, a name '
            'and what is merged into the recipe.'
        )
    networks = {
        str(name): _plain(options or {})
        for name, options in config.networks.items()
    }
    baseline = config.get('baseline', next(iter(networks), ''))
    if baseline not in networks:
        raise PlanError(
            f'{path}: baseline={baseline!r} is none of its networks, '
            f'{", ".join(networks)}.'
        )
    if not config.metrics:
        raise PlanError(f'{path}: metrics={config.metrics!r} are none.')
    seeds = _seeds(path, config.get('seeds', 1))
    recipe = (path.parent / config.recipe).resolve()
    if not recipe.is_file():
        raise PlanError(f'{path}: its recipe {recipe} does not exist.')
    return Plan(
        str(path),
        recipe,
        networks,
        seeds,
        baseline,
        tuple(_metric(path, m) for m in config.metrics),
        _find_data(path, config.get('data'), data),
        _start(path, config.get('start')),
    )


def _seeds(path, given):
    seeds = range(given) if type(given) is int else given
    if (
        not isinstance(seeds, (list, tuple, range))
        or not seeds
        or not all(type(seed) is int for seed in seeds)
        or len(set(seeds)) < len(seeds)
    ):
        raise PlanError(
            f'{path}: seeds={given!r} must be how many, or a list of '
            'different whole numbers.'
        )
    return tuple(seeds)


def _merge(config, options):
    for key, value in options.items():
        there = config.get(key)
        if (
            isinstance(value, dict)
            and 'type' not in value
            and isinstance(there, dict)
        ):
            _merge(there, value)
        else:
            config[key] = value


def _dump(value):
    """As JSON, with names of files as they are."""
    return json.dumps(value, sort_keys=True, default=repr, ensure_ascii=False)


def _plain(options):
    return Config(options).to_dict()


def _metric(path, entry):
    if not isinstance(entry, dict) or not {'key', 'label'} <= set(
        entry
    ) <= set(METRIC):
        raise PlanError(
            f'{path}: the metric {entry!r} must be a dict of '
            f'{", ".join(METRIC)}, such as '
            "dict(key='accuracy/top1', label='top-1, %')."
        )
    return Metric(**entry)


def _start(path, entry):
    if entry is None:
        return None
    known = tuple(Start.__dataclass_fields__)
    if not isinstance(entry, dict) or not {'plan'} <= set(entry) <= set(known):
        raise PlanError(
            f'{path}: start={entry!r} must be a dict of {", ".join(known)}, '
            "such as dict(plan='tiny_imagenet60_r18')."
        )
    return Start(**entry)


def _find_data(path, name, folder):
    if name is None:
        return None
    if folder is None:
        raise PlanError(
            f'{path} needs images: name the folder that holds {name}/, '
            'unpacked, with --data.'
        )
    found = Path(os.path.abspath(folder)) / name
    if not found.is_dir():
        raise PlanError(
            f'--data {folder} holds no folder {name}: unpack it there.'
        )
    return found


def choose(
    what: str, asked: Optional[Iterable[str]], known: Iterable[str]
) -> list[str]:
    """Those of ``known`` that were asked for; all, if none were.

    Raises:
        PlanError: One is unknown.
    """
    known = list(known)
    asked = known if asked is None else list(dict.fromkeys(asked))
    for name in asked:
        if name not in known:
            raise PlanError(
                f'the plan has no {what} {name!r}; it has '
                f'{", ".join(map(str, known))}.'
            )
    return asked
