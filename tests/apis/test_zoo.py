"""What is listed is what there is: index, configs, README, backbones."""

import re

import pytest
import torch
import yaml
from runs import ROOT

import banet
from banet.apis.zoo import find_config
from banet.utils.errors import BanetError

INDEX = yaml.safe_load((ROOT / 'model-index.yml').read_text())
FILES = {
    path: yaml.safe_load((ROOT / path).read_text()) for path in INDEX['Import']
}
MODELS = [m for file in FILES.values() for m in file['Models']]
README = (ROOT / 'README.md').read_text()


def test_index_lists_every_metafile_and_config_once():
    metafiles = sorted(
        str(p.relative_to(ROOT)) for p in ROOT.glob('configs/metafiles/*.yml')
    )
    configs = sorted(
        str(p.relative_to(ROOT))
        for p in ROOT.glob('configs/*/*.py')
        if p.parent.name != 'experiments'  # plans
    )
    assert sorted(INDEX['Import']) == metafiles
    assert sorted(m['Config'] for m in MODELS) == configs


def test_metafiles_have_the_ecosystems_form():
    for file in FILES.values():
        names = {c['Name'] for c in file['Collections']}
        for model in file['Models']:
            assert model['In Collection'] in names
            assert model['Config'].endswith(f'/{model["Name"]}.py')
            for result in model['Results']:
                assert set(result) >= {'Task', 'Dataset', 'Metrics'}
                # A figure says where it comes from.
                assert bool(result['Metrics']) == ('Source' in result)


def test_measured_results_are_those_of_the_readme():
    for model in MODELS:
        if model['Config'].startswith('configs/demo/'):
            (line,) = (
                li
                for li in README.splitlines()
                if li.startswith('| ') and f'({model["Config"]})' in li
                and 'min' in li
            )  # fmt: skip
            numbers = {float(n) for n in re.findall(r'[\d.]+\d', line)}
            for value in model['Results'][0]['Metrics'].values():
                assert value in numbers or round(value / 100, 3) in numbers


def test_models_are_listed_by_pattern_and_task():
    assert len(banet.list_models()) == len(MODELS)
    found = banet.list_models('mask-rcnn', task='det')
    assert 'mask-rcnn_ba-r50_fpn_1x_coco' in found
    assert all('mask-rcnn' in name for name in found)
    assert banet.list_models('upernet_ba-r?8*') == ['upernet_ba-r18_nuclei']
    assert sum(
        len(banet.list_models(task=t)) for t in ('cls', 'det', 'seg')
    ) == len(MODELS)
    with pytest.raises(BanetError, match="task='pose'"):
        banet.list_models(task='pose')


def test_config_is_found_by_name_and_near_names_are_told():
    name = 'mask-rcnn_ba-r50_fpn_1x_coco'
    assert find_config(name).read_text().startswith('_base_')
    with pytest.raises(BanetError, match=f'The nearest: .*{name}'):
        banet.load('mask-rcnn_ba-r50_1x_coco', 'x.pth')


def test_bare_backbone_gives_its_maps(capsys):
    model = banet.features(18)
    out = model.eval()(torch.randn(1, 3, 64, 64))
    assert [o.shape[1] for o in out] == [64, 128, 256, 512]
    assert capsys.readouterr().out == ''


def test_bare_backbone_takes_weights(tmp_path):
    from torchvision.models import resnet18

    plain = resnet18().eval()
    torch.save(plain.state_dict(), tmp_path / 'plain.pth')
    model = banet.features(18, weights=tmp_path / 'plain.pth').eval()
    x = torch.randn(1, 3, 64, 64)
    stem = plain.maxpool(plain.relu(plain.bn1(plain.conv1(x))))
    expected = plain.layer4(plain.layer3(plain.layer2(plain.layer1(stem))))
    torch.testing.assert_close(model(x)[-1], expected)


@pytest.mark.parametrize(
    'backbone,arch,strides',
    [
        ('BARegNet', 'regnetx_400mf', [4, 8, 16, 32]),
        ('BAConvNeXt', 'atto', [4, 8, 16, 32]),
        ('BASwinTransformer', 'tiny', [4, 8, 16, 32]),
        ('BAMobileNetV3', 'small', [32]),
        ('BAEfficientNet', 'b0', [32]),
    ],
)
def test_bare_backbones_of_all_families_give_maps(backbone, arch, strides):
    model = banet.features(backbone=backbone, arch=arch).eval()
    out = model(torch.randn(1, 3, 64, 64))
    assert [(64 // o.shape[2], 64 // o.shape[3]) for o in out] == [
        (s, s) for s in strides
    ]


def test_backbones_that_are_not_there_are_named():
    assert len(banet.features(out_indices=(3,)).layer3) == 6  # depth 50
    with pytest.raises(ValueError, match='has no depth 0'):
        banet.features(0)
    with pytest.raises(BanetError, match='BAConvNeXt has no depth'):
        banet.features(50, backbone='BAConvNeXt')
    with pytest.raises(BanetError, match='BAConvNeXt'):
        banet.features(50, backbone='ResNet')
