"""Augmentation of a whole batch, on the device where it lies."""

import math
from collections.abc import Sequence
from typing import Optional

import torch
import torch.nn.functional as F
from mmpretrain.registry import BATCH_AUGMENTS
from torch import Tensor


@BATCH_AUGMENTS.register_module()
class RandomResizedCropFlip:
    """Crop every image at random, resize it to its former size, flip it.

    What mmpretrain's ``RandomResizedCrop`` and ``RandomFlip`` do image by
    image in the loader, for all images of a batch at once, by one
    bilinear sampling. Put it into ``train_cfg.augments`` or
    ``data_preprocessor.batch_augments``.

    Args:
        area (Sequence[float]): Smallest and largest share of the image that
            a crop holds.
        aspect (Sequence[float]): Smallest and largest width by height of a
            crop, in pixels. A crop that would be wider or higher than the
            image is cut to it.
        flip (float): Probability of a horizontal flip.
        then (dict, optional): Batch augmentation that comes afterwards, such
            as ``dict(type='CutMix', alpha=1.0)``.

    Raises:
        ValueError: A range or the probability is none.
    """

    def __init__(
        self,
        area: Sequence[float] = (0.08, 1.0),
        aspect: Sequence[float] = (3 / 4, 4 / 3),
        flip: float = 0.5,
        then: Optional[dict] = None,
    ):
        if not 0 < area[0] <= area[1] <= 1:
            raise ValueError(
                f'area={area} must be two shares of the image in rising '
                'order, such as (0.08, 1.0).'
            )
        if not 0 < aspect[0] <= aspect[1]:
            raise ValueError(
                f'aspect={aspect} must be two ratios of width to height in '
                'rising order, such as (3/4, 4/3).'
            )
        if not 0 <= flip <= 1:
            raise ValueError(f'flip={flip} must be a probability, 0 to 1.')
        self.area, self.aspect, self.flip = area, aspect, flip
        self.then = BATCH_AUGMENTS.build(then) if then else None

    def __call__(
        self, inputs: Tensor, scores: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Augment a batch.

        Args:
            inputs (Tensor): Images, shape (N, C, H, W), floating point.
            scores (Tensor): Their classes, one-hot, shape (N, classes).

        Returns:
            tuple: Images and classes in the same shapes.
        """
        count, _, height, width = inputs.shape

        def draw(low, high):
            return inputs.new_empty(count).uniform_(low, high)

        area = draw(*self.area)
        aspect = draw(*map(math.log, self.aspect)).exp() * height / width
        w = (area * aspect).sqrt().clamp(max=1)
        h = (area / aspect).sqrt().clamp(max=1)
        # In affine_grid's coordinates an image reaches from -1 to 1.
        x, y = draw(-1, 1) * (1 - w), draw(-1, 1) * (1 - h)
        flipped = torch.where(draw(0, 1) < self.flip, -w, w)
        zero = torch.zeros_like(x)
        theta = torch.stack([flipped, zero, x, zero, h, y], 1)
        grid = F.affine_grid(
            theta.view(count, 2, 3), list(inputs.shape), align_corners=False
        )
        inputs = F.grid_sample(
            inputs, grid, padding_mode='border', align_corners=False
        )
        return self.then(inputs, scores) if self.then else (inputs, scores)
