"""Time networks side by side: the engine of tools/benchmark.py.

``networks`` builds what is compared, ``work`` gives each its input and one
step, ``runtimes`` what runs it, ``timing`` measures time and memory, and
``report`` shows them; ``suite`` runs them in series, against goals.
"""

from .networks import BenchmarkError, NETWORKS
from .report import plot, table, write_json
from .suite import DEVICES, run_suite, SUITES
from .timing import run

__all__ = [
    'BenchmarkError',
    'DEVICES',
    'NETWORKS',
    'SUITES',
    'plot',
    'run',
    'run_suite',
    'table',
    'write_json',
]
