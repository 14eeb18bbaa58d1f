"""Statistics for the attention's norms, taken before a training begins."""

from collections import defaultdict
from itertools import islice

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from torch.nn.modules.batchnorm import _BatchNorm

from ..bridge.block import bridges


@HOOKS.register_module()
class CalibrationHook(Hook):
    """Give the attention's batch norms the statistics of the data.

    Weights of a plain network bring none for them: with ``norm_eval`` they
    would stay at mean 0, variance 1, and normalise nothing. Before the first
    iteration, images of the training set pass through the backbone in eval
    mode, and mean and variance of what each norm takes in become its running
    statistics. A training that is resumed is left alone. Turn it on with
    ``custom_hooks=[dict(type='CalibrationHook')]``.

    Args:
        images (int): How many, about. Defaults to 64.

    Raises:
        ValueError: Fewer than 2 images, which have no variance.
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
        loader = runner.train_dataloader
        seen = defaultdict(list)
        hooks = [
            norm.register_forward_pre_hook(
                lambda norm, args: seen[norm].append(args[0].float())
            )
            for norm in norms
        ]
        training = model.training
        model.eval()
        try:
            with torch.no_grad():
                batches = -(-self.images // (loader.batch_size or 1))
                for batch in islice(loader, batches):
                    data = model.data_preprocessor(batch, False)
                    model.backbone(data['inputs'])
        finally:
            for hook in hooks:
                hook.remove()
            model.train(training)
        for norm, parts in seen.items():
            vectors = torch.cat(parts)
            norm.running_mean.copy_(vectors.mean(0))
            norm.running_var.copy_(vectors.var(0))
        runner.logger.info(
            f'CalibrationHook: {len(seen)} norms of the attention have the '
            f'statistics of {len(vectors)} images.'
        )
