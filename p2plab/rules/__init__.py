"""The promises: small predicates over the event log, each with the mail or kernel line that it comes from.

>>> from p2plab.rules import RULES
>>> RULES["obedience"].promise
'before a notifier callback returns, nothing of the range is mapped, translated or in flight'
"""

from p2plab.rules.aperture import NoOverlap
from p2plab.rules.base import Board, Finding, Rule, judge
from p2plab.rules.health import LockOrderKept, NoCrash, NoDeadlock
from p2plab.rules.importer import BalancedUnmap, NoStaleDma, Obedience
from p2plab.rules.predictability import Predictability

#: Every rule by its name, in the order of the board.
RULES: dict[str, type[Rule]] = {
    rule.name: rule
    for rule in (
        Obedience,
        NoStaleDma,
        BalancedUnmap,
        NoOverlap,
        Predictability,
        NoDeadlock,
        LockOrderKept,
        NoCrash,
    )
}

__all__ = ["RULES", "Board", "Finding", "Rule", "judge"]
