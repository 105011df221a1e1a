"""The notifier timeline: a lane per actor, its steps, calls nested inside them, locks held, beats, and the breaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from p2plab.core.calls import Called, Returned
from p2plab.core.events import Entry
from p2plab.core.lockdep import Deadlock
from p2plab.core.locks import LockAcquired, LockReleased
from p2plab.core.monitor import Finding
from p2plab.core.run import Run
from p2plab.core.world import PERSON, Pressed, Stepped
from p2plab.p2p.events import BeatIssued, BeatLanded
from p2plab.rules.base import Board
from p2plab.views.picture import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    PALE,
    PAPER,
    PINK,
    RED,
    SKY,
    ColumnBuilder,
    Picture,
    RunPicture,
)
from p2plab.views.text import board_of

#: Kinds of bar: colour and height within a lane.
STEP, NOW, CALL, CALLBACK, LOCK, BEAT = "step", "this step", "call", "notifier callback", "lock held", "beat in flight"
KINDS = {
    STEP: (PALE, 0.84),
    NOW: (GREY, 0.84),
    CALL: (SKY, 0.5),
    CALLBACK: (ORANGE, 0.36),
    LOCK: (BLUE, 0.1),
    BEAT: (PINK, 0.22),
}

#: In longer runs a bar is narrower than two edges, and black lines would be all there is to see.
EDGED = 400


@dataclass(frozen=True)
class _Bar:
    lane: str
    kind: str
    first: int
    last: int
    label: str


def timeline(run: Run, step: int, board: Board) -> Picture:
    """The whole run, with ``step`` marked; ``board`` is that of the run's end."""
    lanes = lanes_of(run)
    bars = ColumnBuilder("left", "right", "bottom", "top", "kind", "colour", "edge", "hover")
    edge = 0.5 if len(run) <= EDGED else 0
    for bar in [*_steps(run, step), *_calls(run.log, len(run)), *_locks(run.log, len(run)), *_beats(run.log, len(run))]:
        colour, height = KINDS[bar.kind]
        middle = lanes.index(bar.lane) + 0.5 - (0.37 if bar.kind == LOCK else 0)
        bars.row(
            left=bar.first - 0.5,
            right=bar.last + 0.5,
            bottom=middle - height / 2,
            top=middle + height / 2,
            kind=bar.kind,
            colour=colour,
            edge=edge,
            hover=f"{bar.lane}, step {bar.first}"
            + (f" to {bar.last}" if bar.last > bar.first else "")
            + f": {bar.label}",
        )
    marks = ColumnBuilder("x", "y", "label", "colour", "align", "dx")
    for finding in _firsts(board):
        # A word at the right end is written to the left of its mark, or the page would cut it off.
        align, dx = ("right", -12) if finding.step > 0.7 * len(run) else ("left", 12)
        y = lanes.index(finding.actor) + 0.5
        marks.row(x=finding.step, y=y, label=finding.rule, colour=RED, align=align, dx=dx)
    cursor: dict[str, list[Any]] = {"x": [step], "label": [f"step {step}"]}
    return Picture(_words(run, step, board), {"bars": bars.columns, "marks": marks.columns, "cursor": cursor})


def timeline_figure(run: Run) -> Any:
    """Feeds on ``bars``, ``marks`` and ``cursor`` of :func:`timeline`."""
    from p2plab.views import figures as f  # Bokeh is imported only where something is drawn

    lanes = lanes_of(run)
    plot = f.new_figure("Timeline", y=(0, len(lanes)), height=84 + 48 * len(lanes))
    bars = f.new_source("bars", "left", "right", "bottom", "top", "kind", "colour", "edge", "hover")
    drawn = plot.quad(
        left="left", right="right", bottom="bottom", top="top", source=bars, fill_color="colour", line_color=INK,
        line_width="edge", legend_field="kind",
    )  # fmt: skip
    f.legend_above(plot)
    marks = f.new_source("marks", "x", "y", "label", "colour", "align", "dx")
    plot.scatter("x", "y", source=marks, marker="x", size=18, line_width=4, color="colour")
    plot.text(
        "x", "y", text="label", source=marks, x_offset="dx", y_offset=-10, text_align="align", text_font_size=f.FONT,
        text_color=RED, text_font_style="bold", background_fill_color=PAPER, background_fill_alpha=0.85,
    )  # fmt: skip
    cursor = f.new_source("cursor", "x", "label")
    plot.ray("x", 0, angle=90, angle_units="deg", length=0, source=cursor, line_color=INK, line_dash="dashed")
    f.hover(plot, drawn)
    plot.yaxis.ticker = [number + 0.5 for number in range(len(lanes))]
    plot.yaxis.major_label_overrides = {number + 0.5: name for number, name in enumerate(lanes)}
    plot.xaxis.axis_label = "step"
    return plot


def lanes_of(run: Run) -> list[str]:
    """The lanes from bottom to top: the person on top, then the actors in their order."""
    return [*reversed(run.world.actors), PERSON]


def _steps(run: Run, step: int) -> list[_Bar]:
    bars = []
    for entry in run.log:
        if isinstance(entry.event, (Stepped, Pressed)):
            kind = NOW if entry.step == step else STEP
            bars.append(_Bar(entry.actor or PERSON, kind, entry.step, entry.step, str(entry.event)))
    return bars


def _calls(log: tuple[Entry, ...], end: int) -> list[_Bar]:
    bars: list[_Bar] = []
    under_way: dict[str, list[tuple[int, Called]]] = {}
    for entry in log:
        if isinstance(entry.event, Called):
            under_way.setdefault(entry.actor, []).append((entry.step, entry.event))
        elif isinstance(entry.event, Returned) and under_way.get(entry.actor):
            first, call = under_way[entry.actor].pop()
            bars.append(_call_bar(entry.actor, first, entry.step, call))
    for actor, calls in under_way.items():
        bars += [_call_bar(actor, first, end, call) for first, call in calls]
    return sorted(bars, key=lambda bar: bar.first - bar.last)  # the inner ones on top of the outer


def _call_bar(actor: str, first: int, last: int, call: Called) -> _Bar:
    kind = CALLBACK if call.caller == "mmu_notifier" else CALL
    return _Bar(actor or PERSON, kind, first, last, str(call))


def _locks(log: tuple[Entry, ...], end: int) -> list[_Bar]:
    bars: list[_Bar] = []
    held: dict[tuple[str, str], int] = {}
    for entry in log:
        event = entry.event
        if isinstance(event, LockAcquired):
            held[entry.actor, event.lock] = entry.step
        elif isinstance(event, LockReleased) and (entry.actor, event.lock) in held:
            first = held.pop((entry.actor, event.lock))
            bars.append(_Bar(entry.actor, LOCK, first, entry.step, f"holds {event.lock} ({event.mode})"))
    bars += [_Bar(actor, LOCK, first, end, f"holds {lock}") for (actor, lock), first in held.items()]
    return [bar for bar in bars if bar.lane]


def _beats(log: tuple[Entry, ...], end: int) -> list[_Bar]:
    bars: list[_Bar] = []
    issued: dict[str, tuple[int, BeatIssued]] = {}
    for entry in log:
        if isinstance(entry.event, BeatIssued):
            issued[entry.actor] = (entry.step, entry.event)
        elif isinstance(entry.event, BeatLanded) and entry.actor in issued:
            first, _ = issued.pop(entry.actor)
            bars.append(_Bar(entry.actor, BEAT, first, entry.step, f"a beat {entry.event}"))
    bars += [
        _Bar(who, BEAT, first, end, f"a beat to {beat.address:#x}, in flight") for who, (first, beat) in issued.items()
    ]
    return bars


def _firsts(board: Board) -> list[Finding]:
    firsts = (board.first(rule.name) for rule in board.rules)
    return [finding for finding in firsts if finding is not None]


def _words(run: Run, step: int, board: Board) -> str:
    here = [e for e in run.log if e.step == step]
    said = "; ".join(text for e in here if (text := str(e.event)))
    who = here[0].actor or PERSON if here and step else "set-up"
    breaks = ", ".join(f"{f.rule} breaks at step {f.step}" for f in _firsts(board)) or "nothing breaks"
    stuck = next((str(e.event) for e in run.log if isinstance(e.event, Deadlock)), "")
    return f"Step {step} of {len(run)}, {who}: {said or 'built'}. In this run {breaks}.{f' {stuck}.' if stuck else ''}"


PICTURE = RunPicture(
    "timeline",
    "timeline of the whole run",
    lambda at: timeline(at.run, at.step, board_of(at.run)),
    timeline_figure,
    tapped=lambda viewer, x, _y: viewer.look_at(round(x)),
)
