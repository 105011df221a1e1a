"""Goals: what must be reachable. A driver that never maps anything breaks no promise, and does not comply either."""

from __future__ import annotations

from collections.abc import Iterable

from p2plab.core.events import Entry
from p2plab.core.monitor import Goal
from p2plab.p2p.events import BeatLanded, MoveEnded, P2PMapped, P2PUnmapped, PageMoved, RevokedNow, TranslationSet

GOALS: dict[str, Goal] = {
    goal.name: goal
    for goal in (
        Goal("maps", "a mapping: an importer that gets an address", lambda event: isinstance(event, P2PMapped)),
        Goal(
            "programs",
            "a device that is given a translation",
            lambda event: isinstance(event, TranslationSet),
        ),
        Goal(
            "moves-data",
            "a beat that lands in the memory that was lent",
            lambda event: isinstance(event, BeatLanded) and bool(event.frame),
        ),
        Goal("gives-back", "a page that is given back", lambda event: isinstance(event, P2PUnmapped)),
        Goal(
            "takes-back",
            "the end of a move or of a revocation: memory that the exporter takes back",
            lambda event: isinstance(event, (MoveEnded, PageMoved, RevokedNow)),
        ),
    )
}


def reached(log: Iterable[Entry], goals: Iterable[str] = tuple(GOALS)) -> dict[str, int | None]:
    """For each goal the first step at which the log reaches it, or None."""
    found: dict[str, int | None] = dict.fromkeys(goals)
    for entry in log:
        for name in found:
            if found[name] is None and GOALS[name].reached(entry.event):
                found[name] = entry.step
    return found
