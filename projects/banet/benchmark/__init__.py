"""Time networks side by side: the engine of tools/benchmark.py.

``networks`` builds what is compared, ``work`` gives each its input and one
step, ``runtimes`` what runs it, ``timing`` measures time and memory, and
``report`` shows them.
"""

from .networks import BenchmarkError, NETWORKS
from .report import plot, table, write_json
from .timing import run

__all__ = [
    'BenchmarkError',
    'NETWORKS',
    'plot',
    'run',
    'table',
    'write_json',
]
