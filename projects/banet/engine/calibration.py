"""Statistics for the attention's norms, taken before a training begins."""

from collections import defaultdict
from collections.abc import Sequence

import torch
from mmengine.dist import broadcast
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from ..bridge.block import bridges
from .seeding import seeded_aside


@HOOKS.register_module()
class CalibrationHook(Hook):
    """Give the attention's batch norms the statistics of the data.

    Weights of a plain network bring none for them: with ``norm_eval`` they
    would stay at mean 0, variance 1, and normalise nothing. Before the first
    iteration, images of the training set pass through the backbone in eval
    mode, and mean and variance of what each norm takes in become its running
    statistics. The training that follows sees the images and draws the random
    numbers that it would have without; one that is resumed is left alone.
    Norms that train, on batches of several images, soon forget what they were
    given: there it changes nothing, and says so.
    Turn it on with ``custom_hooks=[dict(type='CalibrationHook')]``.

    Args:
        images (int): How many, about. Defaults to 64.

    Raises:
        ValueError: Fewer than 2 images, asked for or there, which have no
            variance.
    """

    def __init__(self, images: int = 64):
        if images < 2:
            raise ValueError(
                f'images={images} have no variance: take at least 2.'
            )
        self.images = images

    def before_train(self, runner):
        """Pass the images through, unless the training has begun before."""
        if runner.iter > 0:
            return
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        norms = [
            norm
            for _, _, attention in bridges(model)
            for norm in attention.modules()
            if isinstance(norm, _BatchNorm)
        ]
        if not norms:
            runner.logger.warning(
                'CalibrationHook has nothing to do: no attention of the '
                'backbone has a batch norm.'
            )
            return
        training = model.training
        model.train()  # puts norms into the modes that they will have
        if _batch_size(runner.train_dataloader) > 1 and all(
            norm.training for norm in norms
        ):
            runner.logger.warning(
                "CalibrationHook changes nothing here: the attention's norms "
                'train, and take the statistics of each batch. It is for '
                'norm_eval=True, and for one image per process.'
            )
        seen = defaultdict(list)
        hooks = [
            norm.register_forward_pre_hook(
                lambda norm, args: seen[norm].append(args[0].float())
            )
            for norm in norms
        ]
        model.eval()
        try:
            # In each process of a training the same images.
            with torch.no_grad(), seeded_aside(0):
                for batch in self._batches(runner.train_dataloader):
                    # As in the training, which pads.
                    data = model.data_preprocessor(batch, True)
                    model.backbone(data['inputs'])
        finally:
            for hook in hooks:
                hook.remove()
            model.train(training)
        for norm, parts in seen.items():
            vectors = torch.cat(parts)
            norm.running_mean.copy_(vectors.mean(0))
            norm.running_var.copy_(vectors.var(0))
            for statistics in (norm.running_mean, norm.running_var):
                broadcast(statistics)  # a GPU's last digits may differ
        runner.logger.info(
            f'CalibrationHook: {len(seen)} norms of the attention have the '
            f'statistics of {len(vectors)} images.'
        )

    def _batches(self, loader):
        """Of some images, without a look at the training's own order.

        A sampler that never ends would go on behind them, and workers that
        persist would have drawn random numbers.
        """
        if len(loader.dataset) < 2:
            raise ValueError(
                'CalibrationHook: the only image of the training set has no '
                'variance. Leave the hook out of custom_hooks.'
            )
        size = _batch_size(loader)
        order = torch.randperm(len(loader.dataset)).tolist()
        return DataLoader(
            loader.dataset,
            size,
            sampler=order[: -(-self.images // size) * size],
            collate_fn=loader.collate_fn,
        )


def _batch_size(loader):
    """Also where a batch sampler has it, as mmdet's by aspect ratio."""
    size = getattr(loader.batch_sampler, 'batch_size', None) or 1
    return min(size) if isinstance(size, Sequence) else size  # one per source
