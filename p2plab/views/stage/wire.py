"""A run and its moments as JSON for ``stage.js``: words and states, no coordinates.

:func:`scene_json` has what is constant in a scene, :func:`run_json` the sequence diagram of a run, :func:`moment_json` one
moment with its cells (:mod:`.cells`) and the ways between them (:mod:`.ways`), :func:`changes` the differences between moments.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from p2plab.catalog.played import of_rule
from p2plab.core.run import Run
from p2plab.p2p.things import things_of
from p2plab.rules import watched_by
from p2plab.rules.base import Rule
from p2plab.views.stage.cells import Cells, Json
from p2plab.views.stage.diagram import calls_of, lanes_of, marks_of
from p2plab.views.stage.history import history_of
from p2plab.views.stage.labels import label_of
from p2plab.views.stage.linux import linux_json
from p2plab.views.stage.model import Moment
from p2plab.views.stage.now import roles_of
from p2plab.views.stage.source import drivers_of, sections_of
from p2plab.views.stage.terms import TERMS, linked
from p2plab.views.stage.text import alt_of
from p2plab.views.stage.ways import Ways

#: For a longer run the timeline gets only a part around the current step, which moves by half this many steps.
WINDOW = 400


def scene_json(run: Run) -> Json:
    """What is the same in every run of a scene with these knobs: its words, actions, rules, and the drivers' source."""
    scene, world = run.scenario, run.world
    said = scene.words_with(run.settings)
    things = things_of(world)
    gpu, kernel = things.exporters[0], things.spaces[0].kernel.name
    base = gpu.aperture.address(0)
    return {
        "name": scene.name,
        "title": said.title,
        "about": said.about,
        "actions": [[name, label_of(name, action), _help(name, action)] for name, action in world.actions.items()],
        "aperture": [
            [f"{len(gpu.aperture)} slots of 4 KiB", f"{len(gpu.aperture)} slots"],
            [f"from {base:#x}", f"{base:#x}", f"{base:x}"],
        ],
        "gpu": gpu.name,
        "rules": {rule.name: _rule(rule, kernel) for rule in watched_by(scene)},
        "terms": {kind: [what, linked(source)] for kind, (what, source) in TERMS.items()},
        "linux": linux_json(run),
        "drivers": {
            name: [[s.title, s.file, s.first, list(s.lines)] for s in sections_of(driver)]
            for name, driver in drivers_of(world).items()
        },
    }


def run_json(run: Run, step: int | None = None) -> Json:
    """The run as a sequence diagram; of a long run only the part around ``step``, if given."""
    world, history = run.world, history_of(run)
    roles = roles_of(world)
    low, high = 0, len(run)
    if step is not None and len(run) > WINDOW:
        middle = step // (WINDOW // 2) * (WINDOW // 2)
        low, high = middle - WINDOW // 2, middle + WINDOW
    firsts: dict[str, Any] = {}
    for finding in history.findings_at(len(run)):
        firsts.setdefault(finding.rule, finding)

    def near(start: int, end: int | None) -> bool:
        return start <= high and (end is None or end >= low)

    return {
        "end": len(run),
        "lanes": [[name, roles.get(name, "")] for name in lanes_of(run)],
        "knobs": [[k.name, k.help, list(k.choices), run.settings[k.name]] for k in run.scenario.knobs],
        "marks": [
            [m.lane, m.kind, m.start, m.end, m.label, m.good, m.depth] for m in marks_of(run) if near(m.start, m.end)
        ],
        "calls": [
            [c.source, c.target, c.function, c.start, c.end, c.via, c.actor, c.result]
            for c in calls_of(run.log, world.actors)
            if not c.function.endswith("_end") and near(c.start, c.end)
        ],
        "breaks": [[f.rule, f.step, f.actor] for f in firsts.values() if history.is_promise(f.rule)],
    }


def unnamed(scene: Json) -> Json:
    """A scene without what would give away how its run ends: its name, its story, what a real kernel did."""
    return {**scene, "name": "what will happen?", "title": "", "about": "", "linux": None}


def unjudged(run: Json, step: int) -> Json:
    """A run with its steps after ``step`` but not their outcome: no later breaks, beats or results."""
    marks = [m for m in run["marks"] if m[1] != "beat" or (m[3] is not None and m[3] <= step)]
    calls = [[*c[:7], c[7] if c[4] is not None and c[4] <= step else ""] for c in run["calls"]]
    return {**run, "marks": marks, "calls": calls, "breaks": [b for b in run["breaks"] if b[1] <= step]}


def objects_of(run: Run) -> list[str]:
    """The objects of a run in order of creation; an object's index is the number of its colour."""
    return list(history_of(run).objects)


def _help(name: str, action: Any) -> str:
    """What a button does; with the action's name, as code, tokens and text use it, if the label is another."""
    return action.help if label_of(name, action) == name else f"{action.help} ({name} in code and in text)"


def _rule(rule: type[Rule], kernel: str) -> list[Any]:
    """Promise, source in that kernel (:func:`~.terms.linked`), how much of it is stated, number, kind, and whether a real
    kernel's own checkers find it."""
    source = linked(rule.source_in(kernel))
    return [rule.promise, source, rule.basis(), rule.number or 0, rule.kind, of_rule(rule.name)]


def moment_json(moment: Moment, objects: Sequence[str], opened: Collection[str] = ()) -> Json:
    """One moment; ``objects``: see :func:`objects_of`; ``opened``: keys of the blocks to unfold."""
    cells = Cells(moment, objects, frozenset(opened))
    ways = Ways(moment, cells.hidden)
    said = moment.said
    return {
        "step": moment.step,
        "said": [said.what, said.means, said.tone],
        "alt": alt_of(moment),
        "groups": cells.groups,
        "slots": cells.slots,
        "frames": cells.frames,
        "ram": cells.ram,
        "ways": ways.json(),
        "bars": ways.bars(),
        "chips": [[c.rule, c.state, c.step, c.what] for c in moment.chips if c.step is not None],
        "kept": [c.rule for c in moment.chips if c.state == "kept"],
        "idle": [c.rule for c in moment.chips if c.state == "idle"],
        "now": [[n.name, n.inside, n.state, n.words, list(n.locks), list(n.waits_for)] for n in moment.now],
        "why": {button.name: button.why_not for button in moment.buttons},
        "best": moment.natural,
        "drivers": {
            d.name: [
                [list(place) for place in d.lit],
                [list(place) for place in d.waits],
                [[a.name, a.value, a.was] for a in d.attributes],
            ]
            for d in moment.drivers
        },
    }


def changes(sequence: Iterator[Json]) -> tuple[Json, list[Json]]:
    """The first state, and for each later one its differences from the one before.

    A change maps a name to its new value, or to ``{"at": {index: value}}`` if a list kept its length and few of its
    items changed.
    """
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
