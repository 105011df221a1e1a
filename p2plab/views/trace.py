"""A run as a Chrome trace (JSON), to be opened in Perfetto or chrome://tracing: a lane an actor, calls nested."""

from __future__ import annotations

from typing import Any

from p2plab.core.calls import Called, Returned
from p2plab.core.events import to_json
from p2plab.core.run import Run
from p2plab.core.world import PERSON, Stepped


def chrome_trace(run: Run) -> dict[str, Any]:
    """The trace as one JSON object. One tick is shown as one microsecond; steps do not overlap, as in the model."""
    lanes = {name: number for number, name in enumerate([PERSON, *run.world.actors])}
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": lane, "args": {"name": name}}
        for name, lane in lanes.items()
    ]
    open_calls: dict[int, list[str]] = {}
    for entry in run.log:
        lane = lanes.get(entry.actor, 0)
        # The schedule alone orders steps, so the step number is the clock; the ticks are in the arguments.
        base = {"pid": 1, "tid": lane, "ts": entry.step * 10 + 1}
        event = entry.event
        arguments = {"args": to_json(entry)}
        if isinstance(event, Stepped):
            events.append({**base, **arguments, "ts": entry.step * 10, "dur": 9, "ph": "X", "name": event.label})
        elif isinstance(event, Called):
            name = f"{event.target}.{event.function}"
            open_calls.setdefault(lane, []).append(name)
            events.append({**base, **arguments, "ph": "B", "name": name})
        elif isinstance(event, Returned):
            if open_calls.get(lane):
                events.append({**base, **arguments, "ph": "E", "name": open_calls[lane].pop()})
        else:
            events.append({**base, **arguments, "ph": "i", "s": "t", "name": str(event) or event.kind})
    end = (len(run) + 1) * 10
    for lane, names in open_calls.items():
        events += [{"pid": 1, "tid": lane, "ts": end, "ph": "E", "name": name} for name in reversed(names)]
    return {"traceEvents": events, "otherData": {"scenario": run.scenario.name, **run.settings}}
