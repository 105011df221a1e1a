"""Every order of events: the search over schedules, shrinking, and the answer as a value.

>>> from p2plab.catalog import find
>>> from p2plab.check import check
>>> check(find("defrag-obedient")).complete
True
"""

from p2plab.check.checking import Checking, check
from p2plab.check.confirm import breaks
from p2plab.check.search import Progress, Search
from p2plab.check.verdict import Effort, Incomplete, Pass, Shrunk, Verdict, Violation

__all__ = [
    "Checking",
    "Effort",
    "Incomplete",
    "Pass",
    "Progress",
    "Search",
    "Shrunk",
    "Verdict",
    "Violation",
    "breaks",
    "check",
]
