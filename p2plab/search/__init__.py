"""Every order of events: the search over schedules, shrinking, and the answer as a value.

>>> import p2plab
>>> from p2plab.search import check
>>> check(p2plab.find("defrag-obedient")).complete
True
"""

from p2plab.search.checking import Checking, check
from p2plab.search.confirm import breaks
from p2plab.search.search import Progress, Search
from p2plab.search.verdict import Effort, Incomplete, Pass, Shrunk, Verdict, Violation

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
