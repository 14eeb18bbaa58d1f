"""Names of the authors' checkpoints, translated for the tests.

Papers' facts: W_i is ``fusions.i.0`` (ECCV repository: ``pre_fusions.i.0``
and, for the last one, ``cur_fusion.0``); a, b are ``proj``; W_g ends
``generation``.
"""

import re


def to_banet(name, num_convs):
    """Our backbone's name of a reference parameter, e.g. of layer1.0.ba.*."""
    last = num_convs - 1
    name = name.replace('.ba.', '.attention.')
    name = re.sub(r'cur_fusion\.(\d)', rf'fusions.{last}.\1', name)
    name = name.replace('pre_fusions', 'fusions')
    name = re.sub(r'fusions\.(\d)\.0\.', r'reductions.\1.', name)
    name = re.sub(r'fusions\.(\d)\.1\.', r'norms.\1.', name)
    name = name.replace('.proj.', '.selection.')
    name = name.replace('generation.0.', 'norm.')
    return re.sub(r'generation\.[12]\.', 'generation.', name)
