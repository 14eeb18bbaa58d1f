"""Packaging of ``banet``: the package itself; and configs/, tools/ and the
model index as ``banet/.mim``, where the OpenMMLab ecosystem looks for them."""

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
MIM = ('configs', 'tools', 'model-index.yml')


class BuildPy(build_py):
    """Also put ``MIM`` in place: copied into wheels, linked when editable."""

    def run(self):
        super().run()
        package = (
            ROOT / 'projects' if self.editable_mode else Path(self.build_lib)
        )
        mim = package / 'banet' / '.mim'
        shutil.rmtree(mim, ignore_errors=True)
        mim.mkdir(parents=True)
        for name in MIM:
            if self.editable_mode:
                (mim / name).symlink_to(ROOT / name)
            elif (ROOT / name).is_file():
                shutil.copy(ROOT / name, mim / name)
            else:
                shutil.copytree(
                    ROOT / name,
                    mim / name,
                    ignore=shutil.ignore_patterns('__pycache__', 'demo.py'),
                )


def version():
    text = (ROOT / 'projects/banet/version.py').read_text()
    return text.split("'")[1]


def requirements(name):
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


setup(
    name='banet-openmmlab',
    version=version(),
    description='Bridge attention (BA-Net) backbones for OpenMMLab',
    long_description=(ROOT / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    keywords='attention, channel attention, backbone, OpenMMLab, mmdetection, '
    'mmsegmentation, mmpretrain, BA-Net',
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
    project_urls={
        'Paper (ECCV 2022)': 'https://arxiv.org/abs/2112.04150',
        'Paper (2024)': 'https://arxiv.org/abs/2410.07860',
    },
    packages=find_packages('projects'),
    package_dir={'': 'projects'},
    python_requires='>=3.10,<3.14',
    install_requires=requirements('runtime'),
    extras_require=dict(
        mm=requirements('mminstall'),
        optional=requirements('optional'),
        tests=requirements('tests') + requirements('optional'),
    ),
    cmdclass=dict(build_py=BuildPy),
)
