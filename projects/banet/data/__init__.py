"""Walk the data of a config before a training does (tools/check_data.py)."""

from .report import Problem, Report
from .walk import check_data, CheckError

__all__ = ['CheckError', 'Problem', 'Report', 'check_data']
