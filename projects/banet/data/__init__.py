"""Walk the data of a config before a training does (tools/check_data.py)."""

from .report import Problem, Report
from .sets import CheckError
from .walk import check_data

__all__ = ['CheckError', 'Problem', 'Report', 'check_data']
