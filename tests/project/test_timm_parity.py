"""The 300-epoch recipe beside timm's own objects, which its authors use.

docs/recipe_parity.md is the table of what is found here.
"""

import random

import numpy as np
import PIL.Image
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope, MODELS, TRANSFORMS
from recipes import CONFIGS
from runs import ROOT
from scipy.stats import ks_2samp
from test_config_papers import rates
from timm.data import auto_augment as theirs
from timm.data.mixup import cutmix_bbox_and_lam, Mixup, mixup_target
from timm.data.random_erasing import RandomErasing
from timm.data.transforms import RandomResizedCropAndInterpolation
from timm.data.transforms_factory import transforms_imagenet_eval
from timm.loss import SoftTargetCrossEntropy
from timm.scheduler import CosineLRScheduler

CONFIG = Config.fromfile(CONFIGS['ba-resnet50_4xb256-adamw-300e_in1k'])
MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
PAD = tuple(round(x) for x in MEAN)
DRAWS = 3000
SAME = 1e-3  # least probability that two samples are of one distribution


@pytest.fixture(autouse=True)
def seeds():
    random.seed(0), np.random.seed(0), torch.manual_seed(0)


@pytest.fixture(scope='module')
def photo():
    """A real image in colours, RGB: (H, W, 3)."""
    path = sorted((ROOT / 'data/nuclei_mini/images/train').iterdir())[0]
    gray = np.asarray(PIL.Image.open(path).convert('L'), dtype=float)
    ramp = np.linspace(0, 1, gray.shape[1])
    colours = [gray * 2, 255 * ramp + 0 * gray, gray[:, ::-1] + 60 * ramp]
    return np.stack(colours, -1).clip(0, 255).astype(np.uint8)


def step(name):
    """A step of the recipe's training pipeline, built."""
    (cfg,) = (
        s for s in CONFIG.train_dataloader.dataset.pipeline if s.type == name
    )
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return TRANSFORMS.build(cfg)


def same(first, second):
    return ks_2samp(first, second).pvalue > SAME


def test_learning_rates_are_timms_but_for_the_warm_up():
    length, epochs, warm = 20, 300, 20
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    schedule = CosineLRScheduler(
        optimizer,
        t_initial=epochs * length,
        lr_min=1e-5,
        warmup_t=warm * length,
        warmup_lr_init=1e-6,
        t_in_epochs=False,
    )
    expected = np.array(
        [schedule._get_lr(i)[0] for i in range(epochs * length)]
    )
    gap = abs(np.array(rates(CONFIG, length)) / expected - 1)
    assert gap[warm * length :].max() < 2e-4
    assert gap[: warm * length].max() < 0.009


def test_mixing_ratios_are_timms():
    timm = Mixup(mixup_alpha=0.8, cutmix_alpha=1.0, switch_prob=0.5)
    found = [timm._params_per_batch() for _ in range(DRAWS)]
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        augment = MODELS.build(CONFIG.model).data_preprocessor.batch_augments
    mixup, cutmix = augment.augments
    assert augment.probs is None  # one of the two, evenly
    assert abs(np.mean([cut for _, cut in found]) - 0.5) < 0.03
    images, labels = torch.zeros(2, 3, 32, 32), torch.eye(2)
    drawn = [mixup.mix(images, labels)[1][0, 0].item() for _ in range(DRAWS)]
    # Where an image is mixed with itself, the label stays 1.
    drawn = [lam for lam in drawn if lam < 1]
    assert same(drawn, [lam for lam, cut in found if not cut])
    shape = (224, 224)
    areas = [cutmix_bbox_and_lam(shape, lam)[1] for lam, cut in found if cut]
    ratios = np.random.beta(cutmix.alpha, cutmix.alpha, DRAWS)
    own = [cutmix.cutmix_bbox_and_lam(shape, lam)[1] for lam in ratios]
    assert same(own, areas)


def test_loss_of_mixed_labels_is_timms():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        head = MODELS.build(CONFIG.model.head)
    logits, target = torch.randn(8, 1000), torch.randint(0, 1000, (8,))
    lam = 0.3
    expected = SoftTargetCrossEntropy()(
        logits, mixup_target(target, 1000, lam, 0.1)
    )
    hot = torch.eye(1000)[target]
    found = head.loss_module(logits, lam * hot + (1 - lam) * hot.flip(0))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


# timm's name -> mmpretrain's type, largest difference of a pixel's values
OPERATIONS = dict(
    AutoContrast=('AutoContrast', 0),
    Equalize=('Equalize', 0),
    Invert=('Invert', 0),
    # Pillow's and OpenCV's bicubic kernels differ.
    Rotate=('Rotate', 100),
    PosterizeIncreasing=('Posterize', 0),
    SolarizeIncreasing=('Solarize', 0),
    SolarizeAdd=('SolarizeAdd', 0),
    ColorIncreasing=('ColorTransform', 2),
    ContrastIncreasing=('Contrast', 0),
    BrightnessIncreasing=('Brightness', 0),
    SharpnessIncreasing=('Sharpness', 16),  # at the border
    ShearX=('Shear', 100),
    ShearY=('Shear', 100),
    TranslateXRel=('Translate', 100),
    TranslateYRel=('Translate', 100),
)


def policies():
    """mmpretrain's operations in timm's order, always applied, level 9."""
    augment = step('RandAugment')
    assert [type(t).__name__ for t in augment.transforms] == [
        kind for kind, _ in OPERATIONS.values()
    ]
    return dict(zip(OPERATIONS, augment.transforms))


def results(apply):
    """What an operation gives in a dozen calls, each once: both signs."""
    found = {}
    for _ in range(12):
        image = apply()
        found[image.tobytes()] = image.astype(int)
    return list(found.values())


@pytest.mark.parametrize('name', OPERATIONS)
def test_randaugments_operations_change_pixels_as_timms(name, photo):
    own = policies()[name]
    own.magnitude_std, own.prob = 0, 1.0
    hparams = dict(img_mean=PAD, interpolation=PIL.Image.BICUBIC)
    timm = theirs.AugmentOp(name, prob=1, magnitude=9, hparams=hparams)
    expected = results(lambda: np.asarray(timm(PIL.Image.fromarray(photo))))
    found = results(
        lambda: own(dict(img=photo[..., ::-1].copy()))['img'][..., ::-1]
    )
    assert len(found) == len(expected)
    for image in found:
        gap = min(abs(image - other).mean() for other in expected)
        most = min(abs(image - other).max() for other in expected)
        print(f'{name}: mean {gap:.3f}, largest {most}')
        assert gap < 0.8
        assert most <= OPERATIONS[name][1]


def test_randaugment_draws_as_timm():
    augment = step('RandAugment')
    timm = theirs.rand_augment_transform('rand-m9-mstd0.5-inc1', {})
    assert [op.name for op in timm.ops] == list(OPERATIONS)
    assert timm.num_layers == augment.num_policies == 2
    assert {op.prob for op in timm.ops} == {0.5}
    assert {op.prob for op in augment.transforms} == {0.5}
    for op, own in zip(timm.ops, augment.transforms):
        if own.magnitude_range is None:
            assert op.level_fn is None
            continue
        assert op.magnitude == own.magnitude_level == 9
        assert op.magnitude_std == own.magnitude_std == 0.5
    rotate, own = timm.ops[3], augment.transforms[3]
    level = [max(0, min(random.gauss(9, 0.5), 10)) for _ in range(DRAWS)]
    expected = [rotate.level_fn(x, rotate.hparams)[0] for x in level]
    found = [own.random_negative(own.random_magnitude()) for _ in level]
    assert same(found, expected)


def test_random_erasing_draws_as_timm():
    own, size = step('RandomErasing'), 224
    timm = RandomErasing(0.25, mode='pixel', max_count=1, device='cpu')
    expected, found = [], []
    for _ in range(DRAWS // 2):
        erased = timm(torch.full((3, size, size), 9.0))[0] != 9
        expected.append(erased.float().mean().item())
        image = own(dict(img=np.full((size, size, 3), 9, np.uint8)))['img']
        found.append((image[..., 0] != 9).mean())
    expected, found = np.array(expected), np.array(found)
    assert abs((expected > 0).mean() - (found > 0).mean()) < 0.05
    assert same(found[found > 0], expected[expected > 0])


def test_random_erasing_fills_with_timms_noise_within_eight_bits():
    own = step('RandomErasing')
    image = own._fill_pixels(np.zeros((400, 400, 3), np.uint8), 0, 0, 400, 400)
    noise = (image[..., ::-1] - np.array(MEAN)) / np.array(STD)
    print('mean', noise.mean((0, 1)), 'std', noise.std((0, 1)))
    assert abs(noise.mean()) < 0.05
    assert 0.95 < noise.std() < 1  # values beyond 0 and 255 are clipped


def test_crops_are_drawn_and_resized_as_timms(photo):
    own = step('RandomResizedCrop')
    timm = RandomResizedCropAndInterpolation(224, interpolation='bicubic')
    pillow = PIL.Image.fromarray(photo)
    expected = [
        timm.get_params(pillow, timm.scale, timm.ratio) for _ in range(DRAWS)
    ]
    found = [own.rand_crop_params(photo) for _ in range(DRAWS)]
    for column in range(4):
        assert same([f[column] for f in found], [e[column] for e in expected])
    top, left, height, width = expected[0]
    own.rand_crop_params = lambda image: (top, left, height, width)
    timm.get_params = lambda *args: (top, left, height, width)
    image = own(dict(img=photo.copy()))['img']
    assert (image == np.asarray(timm(pillow))).all()


def test_validation_images_are_timms(photo):
    pillow = PIL.Image.fromarray(photo)
    timm = transforms_imagenet_eval(
        224, crop_pct=0.875, interpolation='bicubic', use_prefetcher=True
    )
    results = dict(img=photo.copy())
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        for cfg in CONFIG.val_dataloader.dataset.pipeline[1:-1]:
            results = TRANSFORMS.build(cfg)(results)
    expected = np.asarray(timm(pillow))
    found = results['img'].transpose(2, 0, 1)
    assert abs(found.astype(int) - expected.astype(int)).max() == 0
