"""Test: tools/test.py CONFIG CHECKPOINT [options of the library's test.py].

The config's default_scope (mmpretrain, mmdet or mmseg) picks the library.
"""

from banet.engine.launch import main

if __name__ == '__main__':
    main('test.py')
