"""What a training can show while it runs."""

import os
from collections import defaultdict

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.visualization import TensorboardVisBackend
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from ..bridge.attention import BridgeAttention
from ..bridge.block import bridges
from ..utils.compat import need


@HOOKS.register_module()
class BridgeStatsHook(Hook):
    """Log the selection weights and gates of bridge attention per stage.

    Into the log, its json and every visualizer backend (TensorBoard) go, for
    each stage, ``bridge/STAGE/a1``, ``a2``, ...: the mean over the stage's
    blocks of \\|a_i\\| (BAv2), and ``bridge/STAGE/gate``: the mean gate of
    the last iteration. Turn it on with
    ``custom_hooks=[dict(type='BridgeStatsHook')]``. Blocks with
    ``compile_blocks`` run as they are meanwhile, for it hooks into them.

    Args:
        interval (int): Iterations between two looks. Defaults to 10, as
            mmengine's logger.
    """

    priority = 'NORMAL'  # before the logger

    def __init__(self, interval: int = 10):
        if interval < 1:
            raise ValueError(
                f'interval={interval} must be at least 1 iteration.'
            )
        self.interval = interval
        self._looks = False
        self._hooks: list[RemovableHandle] = []
        self._gates: dict[str, Tensor] = {}

    def before_train(self, runner):
        """Begin to look."""
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        self._bridges = list(bridges(model))
        if not self._bridges:
            runner.logger.warning(
                'BridgeStatsHook has nothing to log: no block of the '
                'backbone has an attention.'
            )
        for _, name, attention in self._bridges:
            self._hooks.append(
                attention.register_forward_hook(
                    lambda module, args, gate, name=name: self._keep(
                        name, module, gate
                    )
                )
            )

    def after_train(self, runner):
        """Leave the model as it was."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def _keep(self, name, module, gate):
        if module.training and self._looks:
            self._gates[name] = gate.detach().float().mean()

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        """Decide whether this iteration is looked at."""
        # Averaging on the device alone, and only in these iterations.
        self._looks = (runner.iter + 1) % self.interval == 0

    def after_train_iter(
        self, runner, batch_idx, data_batch=None, outputs=None
    ):
        """Write what was seen where the logger finds it."""
        if not self._looks:
            return
        found = defaultdict(list)
        for stage, name, attention in self._bridges:
            if name in self._gates:
                found[f'{stage}/gate'].append(self._gates[name])
            if isinstance(attention, BridgeAttention) and hasattr(
                attention, 'selection'
            ):
                for i, a in enumerate(attention.selection.weight[0], 1):
                    found[f'{stage}/a{i}'].append(a.detach().abs())
        for key, values in found.items():
            runner.message_hub.update_scalar(
                f'train/bridge/{key}', torch.stack(values).mean().item()
            )


# Of mmdet, mmseg and mmpretrain; other hooks' switches mean something else.
SWITCHES = dict(
    DetVisualizationHook='draw',
    SegVisualizationHook='draw',
    VisualizationHook='enable',
)


@HOOKS.register_module()
class TensorBoardHook(Hook):
    """Write the training's log to TensorBoard, too.

    What goes into the log's json goes there as well: losses, learning rate,
    metrics, :class:`BridgeStatsHook`; and pictures of predictions while
    validating, by the library's own visualization hook. Turn it on by
    ``--cfg-options default_hooks.tensorboard.type=TensorBoardHook``: unlike
    the list ``visualizer.vis_backends``, that adds to a config and replaces
    nothing in it.

    Args:
        pictures (int): Pictures per validation, about; 0 for none. Defaults
            to 8.

    Raises:
        MissingPackage: The package tensorboard is not installed.
    """

    priority = 'VERY_HIGH'  # before the hooks that it sets

    def __init__(self, pictures: int = 8):
        need('tensorboard', 'tensorboard')
        self.pictures = pictures

    def before_run(self, runner):
        """Add the backend, and turn pictures on."""
        backend = TensorboardVisBackend(
            os.path.join(runner.log_dir, 'vis_data')
        )
        # mmengine adds backends in the visualizer's constructor alone.
        runner.visualizer._vis_backends['TensorboardVisBackend'] = backend
        for hook, switch in self._drawing(runner):
            setattr(hook, switch, True)

    def before_val(self, runner):
        """Spread the pictures over the validation."""
        loader = runner.val_loop.dataloader
        for hook, switch in self._drawing(runner):
            # One kind counts batches, the other images.
            count = len(loader if switch == 'draw' else loader.dataset)
            hook.interval = max(1, count // self.pictures)

    def _drawing(self, runner):
        """The libraries' own visualization hooks, and what turns them on."""
        if not self.pictures:
            return
        for hook in runner.hooks:
            for cls in type(hook).__mro__:
                if cls.__name__ in SWITCHES:
                    yield hook, SWITCHES[cls.__name__]
                    break
