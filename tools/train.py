"""Train: tools/train.py CONFIG [options of the library's train.py].

The config's default_scope (mmpretrain, mmdet or mmseg) picks the library.
"""

from banet.engine.launch import main

if __name__ == '__main__':
    main('train.py')
