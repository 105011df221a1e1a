"""Every order of events: the search over schedules, shrinking, and the answer as a value.

>>> from p2plab.catalog import find
>>> from p2plab.check import check
>>> check(find("defrag-obedient")).complete
True
"""

from p2plab.check.confirm import breaks
from p2plab.check.search import Progress, Search, check
from p2plab.check.verdict import Effort, Incomplete, Pass, Verdict, Violation

__all__ = ["Effort", "Incomplete", "Pass", "Progress", "Search", "Verdict", "Violation", "breaks", "check"]
