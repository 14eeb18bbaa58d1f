"""Crops and flips of a batch are those of its images one by one."""

import pytest
import torch

from banet import RandomResizedCropFlip

SCORES = torch.eye(6)


def images(height, width):
    """Planes: a value tells where in the image it was taken."""
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.float64),
        torch.arange(width, dtype=torch.float64),
        indexing='ij',
    )
    return torch.stack([x, y]).expand(6, 2, height, width).contiguous()


def augment(inputs, **kwargs):
    torch.manual_seed(0)
    return RandomResizedCropFlip(**kwargs)(inputs, SCORES)


def test_the_whole_image_is_left_as_it_is():
    square = images(8, 8)
    out, scores = augment(square, area=(1, 1), aspect=(1, 1), flip=0)
    torch.testing.assert_close(out, square)
    assert scores is SCORES


def test_a_flip_is_horizontal():
    square = images(8, 8)
    out, _ = augment(square, area=(1, 1), aspect=(1, 1), flip=1)
    torch.testing.assert_close(out, square.flip(-1))


def test_every_image_has_a_crop_of_its_own_within_the_ranges():
    height, width = 400, 300
    out, _ = augment(images(height, width), area=(0.2, 0.5), aspect=(0.8, 1.5))
    boxes = set()
    for x, y in out:
        # One step of the output is so many pixels of the input.
        step_x = (x[0, 150] - x[0, 100]).abs() / 50
        step_y = (y[200, 0] - y[100, 0]) / 100
        w, h = step_x * width, step_y * height
        assert w * h / (width * height) * (1 + 1e-6) >= 0.2
        assert w * h / (width * height) <= 0.5 * (1 + 1e-6)
        assert 0.8 * (1 - 1e-6) <= w / h <= 1.5 * (1 + 1e-6)
        assert x.min() >= 0 and x.max() <= width - 1
        assert y.min() >= 0 and y.max() <= height - 1
        boxes.add((round(w.item(), 3), round(x.min().item(), 3)))
    assert len(boxes) == len(out)


def test_a_crop_wider_than_the_image_is_cut_to_it():
    out, _ = augment(images(8, 8), area=(1, 1), aspect=(4, 4), flip=0)
    x, y = out.unbind(1)
    torch.testing.assert_close(x, images(8, 8)[:, 0])
    # Half as high as the image: 1 / sqrt(4).
    torch.testing.assert_close(
        y[:, 4] - y[:, 3], torch.full_like(y[:, 0], 0.5)
    )


def test_crops_come_from_everywhere():
    torch.manual_seed(0)
    crop = RandomResizedCropFlip(area=(0.25, 0.25), aspect=(1, 1), flip=0)
    drawn = torch.cat([crop(images(40, 40), SCORES)[0] for _ in range(40)])
    left, top = drawn[:, :, 0, 0].T  # from 0 to 20 pixels
    for start in left, top:
        assert start.min() < 1 and start.max() > 19
        assert 9 < start.mean() < 11
    assert torch.corrcoef(torch.stack([left, top]))[0, 1].abs() < 0.2


def test_a_crop_is_that_part_of_the_image_resized():
    """Against cutting and resizing by whole pixels."""
    inputs = torch.rand(6, 3, 64, 64, dtype=torch.float64)
    torch.manual_seed(3)
    where = images(64, 64)
    out_where = RandomResizedCropFlip((0.25, 0.25), (1, 1), 0)(where, SCORES)[
        0
    ]
    torch.manual_seed(3)
    out, _ = RandomResizedCropFlip((0.25, 0.25), (1, 1), 0)(inputs, SCORES)
    for image, (x, y), crop in zip(inputs, out_where, out):
        # Half of the width: bilinear values at the places that were read.
        for row, column in ((5, 9), (30, 31), (60, 2)):
            at_x, at_y = x[row, column].item(), y[row, column].item()
            left, top = int(at_x), int(at_y)
            part = image[:, top : top + 2, left : left + 2]
            dx, dy = at_x - left, at_y - top
            weights = torch.tensor(
                [
                    [(1 - dx) * (1 - dy), dx * (1 - dy)],
                    [(1 - dx) * dy, dx * dy],
                ],
                dtype=torch.float64,
            )[: part.shape[1], : part.shape[2]]
            expected = (part * weights).sum((1, 2)) / weights.sum()
            torch.testing.assert_close(crop[:, row, column], expected)


def test_another_augmentation_follows():
    inputs = images(8, 8)
    out, scores = augment(inputs, then=dict(type='Mixup', alpha=1.0))
    assert ((scores > 0).sum(1) <= 2).all() and (scores < 1).any()
    torch.testing.assert_close(scores.sum(1), torch.ones(6))
    assert out.shape == inputs.shape


@pytest.mark.parametrize(
    'kwargs,message',
    [
        (dict(area=(0, 1)), r'area=\(0, 1\) must be two shares'),
        (dict(area=(0.5, 0.2)), 'area='),
        (dict(aspect=(2, 1)), r'aspect=\(2, 1\) must be two ratios'),
        (dict(flip=2), 'flip=2 must be a probability'),
    ],
)
def test_what_is_no_range_is_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        RandomResizedCropFlip(**kwargs)
