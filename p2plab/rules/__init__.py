"""The promises: small predicates over the event log, each with the mail or kernel line that it comes from.

>>> from p2plab.rules import RULES
>>> RULES["obedience"].promise
'before a notifier callback returns, nothing of the range is mapped, translated or in flight'
"""

from p2plab.rules.aperture import NoOverlap
from p2plab.rules.base import Board, Finding, Rule, judge
from p2plab.rules.callbacks import (
    GivesUpForCause,
    InsideOneVma,
    NeverSleeps,
    RefusesRightly,
    StaysOutOfMm,
    VmaAlive,
)
from p2plab.rules.exporter import AddressWorks, InsideBar, NoMapWhileMoving, RightWhenGiven, ToldBeforeMoved
from p2plab.rules.goals import GOALS, Goal, reached
from p2plab.rules.health import LockOrderKept, NoCrash, NoDeadlock
from p2plab.rules.importer import BalancedUnmap, NoStaleDma, Obedience
from p2plab.rules.lending import AskedEachTime, ContentKept, GoneMeansNobody, RefusalKeepsNothing, ReturnsZero
from p2plab.rules.looking import ComesToAnEnd, OwnAddress, ProgramsOnlyValid, ReadOnlyVma, WritesAsAsked
from p2plab.rules.platform import HmmComplete, ReaperSparesDevices
from p2plab.rules.predictability import Predictability
from p2plab.rules.prices import EverybodyServed, NeedlessInvalidation, PeerToPeer

#: Every rule by its name, in the order of the board: the importer's, the exporter's, the core's, everybody's; prices.
RULES: dict[str, type[Rule]] = {
    rule.name: rule
    for rule in (
        Obedience,
        NoStaleDma,
        BalancedUnmap,
        ProgramsOnlyValid,
        OwnAddress,
        WritesAsAsked,
        ReadOnlyVma,
        StaysOutOfMm,
        NeverSleeps,
        RefusesRightly,
        GivesUpForCause,
        VmaAlive,
        ComesToAnEnd,
        NoOverlap,
        Predictability,
        ToldBeforeMoved,
        NoMapWhileMoving,
        RightWhenGiven,
        InsideBar,
        AddressWorks,
        AskedEachTime,
        RefusalKeepsNothing,
        ReturnsZero,
        GoneMeansNobody,
        ContentKept,
        InsideOneVma,
        HmmComplete,
        ReaperSparesDevices,
        NoDeadlock,
        LockOrderKept,
        NoCrash,
        NeedlessInvalidation,
        PeerToPeer,
        EverybodyServed,
    )
}

#: The rules that no driver may break.
PROMISES: tuple[str, ...] = tuple(name for name, rule in RULES.items() if rule.kind == "promise")
#: What a right driver may cost.
PRICES: tuple[str, ...] = tuple(name for name, rule in RULES.items() if rule.kind == "price")

__all__ = ["GOALS", "PRICES", "PROMISES", "RULES", "Board", "Finding", "Goal", "Rule", "judge", "reached"]
