"""The reports of tools/explain.py: figures and tables, written one by one."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Optional, Union

from rich.progress import track

from ..apis.predictor import Predictor
from ..data.sources import Images, Video
from ..utils.outfolder import OutFolder
from .bridge import has_selection, record_gates, selection
from .bridge_plots import (
    plot_channels,
    plot_gates,
    plot_profiles,
    plot_selection,
)
from .cam import (
    activation_map,
    CamError,
    check_method,
    default_layer,
    default_method,
    WITHOUT_TARGET,
)
from .features import feature_maps
from .image_plots import panel_title, plot_cam, plot_features
from .layers import find_layer, stages
from .targets import find_targets, follow, Target, View


def report_bridge(
    predictor: Predictor,
    out: OutFolder,
    source: Union[Images, Video, None] = None,
    batch_size: int = 1,
    score: float = 0.3,
) -> Iterator[Path]:
    """Figures and tables of a network's bridges, or of its rivals' gates.

    Args:
        predictor (Predictor): What :func:`banet.load` returns.
        out (OutFolder): Where to write.
        source (Images | Video | None): Images whose gates are shown, too.
            Defaults to None.
        batch_size (int): Images at once. Defaults to 1.
        score (float): Boxes of less do not count as their class. Defaults to
            0.3.

    Yields:
        Path: Each file, when it is written.

    Raises:
        BridgeError: There is no attention, or it is folded; without
            ``source`` also an attention that selects nothing, such as SE.
    """
    if source is None or has_selection(predictor.model):
        yield from plot_selection(selection(predictor.model), out)
    if source is None:
        return
    labels = []
    with _whole_images(predictor), record_gates(predictor.model) as gates:
        images = (image for _, _, image in source)
        samples = predictor.samples(images, batch_size)
        for sample in track(samples, 'Gates', total=len(source)):
            labels.append(_classes(predictor, sample, score))
    if labels:
        yield from plot_gates(gates, out)
        yield from plot_channels(gates, out)
        yield from plot_profiles(gates, labels, out)


@contextmanager
def _whole_images(predictor):
    """One gate per image, where a segmentor would slide a window over it."""
    test_cfg = getattr(predictor.model, 'test_cfg', None)
    if predictor.task != 'seg' or test_cfg is None:
        yield
        return
    mode = test_cfg.mode
    test_cfg.mode = 'whole'
    try:
        yield
    finally:
        test_cfg.mode = mode


def _classes(predictor, sample, score):
    """Names of the classes that are predicted in an image."""
    result = predictor.result(sample, score)
    if predictor.task == 'cls':
        return [result['top'][0]['class']]
    return [predictor.classes[i] for i in sorted(set(result['labels'].flat))]


def report_cam(
    predictors: Sequence[Predictor],
    source: Union[Images, Video],
    out: OutFolder,
    layer: Optional[str] = None,
    method: Optional[str] = None,
    classes: Optional[Sequence[str]] = None,
    most: int = 3,
    score: float = 0.3,
) -> Iterator[Path]:
    """A figure per image with class activation maps.

    Args:
        predictors (Sequence[Predictor]): One or several networks of one
            task, side by side. The first one chooses what is explained.
        source (Images | Video): The images.
        out (OutFolder): Where to write.
        layer (str | None): Its name in every network; None takes the
            backbone's last stage. Defaults to None.
        method (str | None): One of :data:`banet.explain.cam.METHODS`. None
            takes :func:`banet.explain.cam.default_method`. Defaults to None.
        classes (Sequence[str] | None): Explain these; None: what is
            predicted. Defaults to None.
        most (int): Boxes per image at most; classes of a segmentor, if
            none are named. Defaults to 3.
        score (float): Boxes of less are left out. Defaults to 0.3.

    Yields:
        Path: Each figure, when it is written.

    Raises:
        CamError: No such method, an unknown class, or networks of two tasks.
        LayerError: No such layer, or none that can be explained.
    """
    first = predictors[0]
    method = method or default_method(first.task)
    check_method(method)
    if len({(p.task, p.classes) for p in predictors}) > 1:
        raise CamError(
            'the two models differ in task or classes: '
            + '; '.join(
                f'{p.task}, {len(p.classes)} classes' for p in predictors
            )
            + '. Side by side stand models that were trained on the same.'
        )
    wanted = (
        None if classes is None else [_label(first, name) for name in classes]
    )
    layers = [layer or default_layer(p.model) for p in predictors]
    for predictor, name in zip(predictors, layers):
        find_layer(predictor.model, name)
    columns = [
        panel_title(p.config.filename or 'model', name)
        for p, name in zip(predictors, layers)
    ]
    for name, _, image in track(source, 'Maps', total=len(source)):
        views = [View(predictor, image) for predictor in predictors]
        if method == WITHOUT_TARGET:
            targets = [Target()]
        else:
            targets = find_targets(views[0], wanted, most, score)
        found: list[Sequence[Optional[Target]]] = [targets]
        for view in views[1:]:
            found.append(
                targets if method == WITHOUT_TARGET else follow(view, targets)
            )
        rows = [
            (
                _title(first, target),
                [
                    None
                    if own is None
                    else (own, activation_map(view, own, layer, method))
                    for view, own, layer in zip(views, owns, layers)
                ],
            )
            for target, owns in zip(targets, zip(*found))
        ]
        if rows:
            yield plot_cam(name, views[0].shown, rows, columns, out)


def _label(predictor, name):
    if name in predictor.classes:
        return predictor.classes.index(name)
    raise CamError(
        f'class {name!r} is unknown; the model knows '
        f'{", ".join(predictor.classes[:20])}.'
    )


def _title(predictor, target):
    return (
        'no class' if target.label is None else predictor.classes[target.label]
    )


def report_features(
    predictor: Predictor,
    source: Union[Images, Video],
    out: OutFolder,
    layers: Optional[list[str]] = None,
    channels: int = 4,
) -> Iterator[Path]:
    """A figure per image with the feature maps of layers.

    Args:
        predictor (Predictor): What :func:`banet.load` returns.
        source (Images | Video): The images.
        out (OutFolder): Where to write.
        layers (list[str] | None): Names in the model; None takes the
            backbone's stages. Defaults to None.
        channels (int): Shown per layer, the strongest. Defaults to 4.

    Yields:
        Path: Each figure, when it is written.

    Raises:
        LayerError: A layer is not there, or gives no map.
    """
    layers = layers or stages(predictor.model)
    for layer in layers:
        find_layer(predictor.model, layer)
    for name, _, image in track(source, 'Features', total=len(source)):
        view = View(predictor, image)
        maps = feature_maps(view, layers)
        yield plot_features(name, view.shown, maps, out, channels)
