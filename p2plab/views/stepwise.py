"""States stored as a first one and then only what changed: for pages that step through a run without Python.

A change maps a name to its new value, or to ``{"at": {index: value}}`` where a list kept its length and few of its places
changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

State = dict[str, Any]


def changes(sequence: Iterator[State]) -> tuple[State, list[State]]:
    """The first state, and for each later one what differs from the one before."""
    first = before = next(sequence)
    later = []
    for state in sequence:
        later.append({name: _change(before[name], now) for name, now in state.items() if before[name] != now})
        before = state
    return first, later


def _change(before: Any, now: Any) -> Any:
    if isinstance(now, list) and len(now) == len(before):
        places = {str(place): new for place, (old, new) in enumerate(zip(before, now, strict=True)) if old != new}
        if 2 * len(places) < len(now):
            return {"at": places}
    return now
