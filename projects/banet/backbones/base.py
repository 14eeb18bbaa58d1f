"""What the backbones of all families share."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Optional, Union

from mmcv.cnn import fuse_conv_bn
from mmengine.model import BaseModule, PretrainedInit, update_init_info
from mmengine.registry import WEIGHT_INITIALIZERS
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..bridge.block import BridgeMixin
from ..bridge.compiled import compile_options
from ..bridge.deploy import check_foldable
from ..utils.registered import class_of
from .loading import LoadingMixin


class BridgedBackbone(LoadingMixin):
    """Backbone of mmpretrain whose blocks are :class:`BridgeMixin`.

    Put it before mmpretrain's class.
    """

    norm_cfg: dict
    arch_settings: dict
    arch_zoo: dict
    _dump_init_info: Callable  # of mmengine's BaseModule

    def bridge_blocks(
        self,
        plain: type,
        bridged: type[BridgeMixin],
        attention: Optional[dict],
        norm_cfg: dict,
        warm_start: bool,
    ) -> None:
        """Let every block of class ``plain`` become one of ``bridged``."""
        for module in self.modules():
            if type(module) is plain:
                bridged.adopt(module, attention, norm_cfg, warm_start)

    def take_form(
        self, deploy: bool, compile_blocks: Union[bool, dict]
    ) -> None:
        """Take the form that the arguments of those names ask for.

        Raises:
            TypeError, ValueError, RuntimeError: See
                :func:`banet.bridge.compiled.compile_options`.
        """
        options = compile_options(compile_blocks)
        for _, block in self.blocks():
            block.compile_options = options
        if deploy:
            self.switch_to_deploy()

    def init_weights(self):
        """Initialise as upstream does, the attention as it says itself."""
        with self._one_init_log():
            cfgs = self.init_cfg
            pretrained = any(
                class_of(WEIGHT_INITIALIZERS, cfg['type']) is PretrainedInit
                for cfg in ([cfgs] if isinstance(cfgs, dict) else cfgs or ())
                if cfg
            )
            # Never after weights have come in.
            if not pretrained:
                super().init_weights()
            # mmengine's does not reach into every container.
            for _, block in self.blocks():
                attention = block.attention
                if isinstance(attention, BaseModule) and not attention.is_init:
                    attention.init_weights()
                    update_init_info(
                        attention, f'As {type(attention).__name__} says'
                    )
            if pretrained:
                super().init_weights()

    @contextmanager
    def _one_init_log(self) -> Iterator[None]:
        """Let mmengine log every parameter once, under its full name.

        It does so in the outermost ``init_weights``; an attention's own would
        be one by itself in a bare backbone.
        """
        if hasattr(self, '_params_init_info'):  # in a whole model
            yield
            return
        shared: dict = defaultdict(dict)
        for parameter in self.parameters():
            shared[parameter].update(
                init_info='as it was built',
                tmp_mean_value=parameter.data.mean().cpu(),
            )
        for module in self.modules():
            vars(module)['_params_init_info'] = shared
        try:
            yield
            self._dump_init_info()
        finally:
            for module in self.modules():
                vars(module).pop('_params_init_info', None)

    def switch_to_deploy(self) -> None:
        """Take the exact inference form: norms fused, attention folded.

        Computes what eval mode does; there is no way back. See
        :meth:`banet.BridgeMixin.switch_to_deploy`.

        Raises:
            ValueError: A batch norm has no running statistics or weights.
        """
        check_foldable(self)
        blocks = [
            (parent, name, child)
            for parent in self.modules()
            for name, child in parent.named_children()
            if isinstance(child, BridgeMixin)
        ]
        # The rest alone: mmcv would look into a user's own attention, too.
        for parent, name, _ in blocks:
            parent._modules[name] = None
        try:
            fuse_conv_bn(self)
        finally:
            for parent, name, block in blocks:
                parent._modules[name] = block
        for _, _, block in blocks:
            block.switch_to_deploy()

    def get_layer_depth(
        self, param_name: str, prefix: str = ''
    ) -> tuple[int, int]:
        """Depth of a parameter, for layer-wise decay of the learning rate.

        Where upstream knows the network, its own; else the stem has depth 0,
        and every block, with its attention, is one layer.

        Args:
            param_name (str): Name in the whole model.
            prefix (str): Of the backbone in it. Defaults to none.

        Returns:
            tuple: The depth, and the number of depths, the head's included.
        """
        upstream = getattr(super(), 'get_layer_depth', None)
        if upstream is not None:
            with suppress(NotImplementedError):  # ResNet-18, -34
                return upstream(param_name, prefix)
        depths, depth = {}, 0
        blocks = [f'{name}.' for name, _ in self.blocks()]
        for name, _ in self.named_parameters():
            if depth < len(blocks) and name.startswith(blocks[depth]):
                depth += 1
            depths[name] = depth
        last = len(blocks) + 1
        if not param_name.startswith(prefix):
            return last, last + 1
        return depths.get(param_name[len(prefix) :], last), last + 1

    def train(self, mode: bool = True):
        """Set the mode; unlike upstream's, return the module itself.

        With ``norm_eval`` the attention's norms stay in eval mode, too, which
        upstream's own loops over BatchNorm2d would miss.
        """
        super().train(mode)
        if mode and getattr(self, 'norm_eval', False):
            for _, block in self.blocks():
                for part in (block.attention or nn.Module()).modules():
                    if isinstance(part, _BatchNorm):
                        part.eval()
        return self


def check_arch(
    backbone: nn.Module, arch, known: Iterable[str], described: bool = False
) -> None:
    """Raise ValueError if ``arch`` is none of the ``known`` names.

    Args:
        described (bool): Whether it may be a dict, too, which is left to
            upstream. Defaults to False.
    """
    known = sorted(known)
    if not (described and isinstance(arch, dict)) and arch not in known:
        raise ValueError(
            f'{type(backbone).__name__} has no arch {arch!r}; choose from '
            f'{", ".join(known)}.'
        )


def check_frozen(stages: int, first: int, last: int, what: str) -> None:
    """Raise ValueError if ``frozen_stages`` is not from first to last.

    Args:
        what (str): What the numbers mean.
    """
    if not first <= stages <= last:
        raise ValueError(
            f'frozen_stages={stages} is out of range: use {first} (nothing) '
            f'up to {last}, {what}.'
        )
