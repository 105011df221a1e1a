"""A verdict for people and for programs: text of at most 72 columns, a pytest to paste, one JSON object."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from p2plab.core import known
from p2plab.core.errors import comes_from_outside
from p2plab.core.events import to_json
from p2plab.core.monitor import LeadsTo
from p2plab.core.number_of import number_of
from p2plab.core.run import Run
from p2plab.core.scenario import Scenario
from p2plab.core.schedule import schedule_text
from p2plab.core.token import token_of
from p2plab.search.allscenes import AllScenes
from p2plab.search.confirm import ONLY_HERE
from p2plab.search.verdict import Effort, Incomplete, Net, Orbits, Pass, RandomOrders, Shrunk, Verdict, Violation
from p2plab.search.watchdog import Watchdog, where
from p2plab.views.driver_lines import driver_steps, lines_as_json
from p2plab.views.text import WIDTH, columns, verdict

T = TypeVar("T")

#: Maximum length of a comment in a test.
_COMMENT = 100

#: The exit status of ``p2plab check`` for each answer.
EXIT_PASS, EXIT_VIOLATION, EXIT_INCOMPLETE = 0, 1, 3


def exit_status(answer: Verdict) -> int:
    """0: all orders hold. 1: one breaks. 3: not all orders were tried."""
    if isinstance(answer, AllScenes):
        if answer.smallest is not None:
            return EXIT_VIOLATION
        return EXIT_PASS if answer.word == "HOLDS" else EXIT_INCOMPLETE
    if isinstance(answer, Violation):
        return EXIT_VIOLATION
    return EXIT_PASS if isinstance(answer, Pass) and answer.complete else EXIT_INCOMPLETE


def text(answer: Verdict, source_lines: bool | None = None) -> str:
    """The whole report; ``source_lines`` as ``lines`` of :func:`p2plab.views.text.columns`."""
    if isinstance(answer, AllScenes):
        return "\n".join(_all_scenes(answer, source_lines)) + "\n"
    lines = list(_wrap(headline(answer)))
    if isinstance(answer, Violation):
        lines += _drawn(answer, source_lines)
    else:
        lines += watch(answer)
    if isinstance(answer, Incomplete):
        lines += _undecided(answer)
    if isinstance(answer, Pass) and answer.net is not None:
        lines += _wrap(netted(answer.net))
    return "\n".join(lines) + "\n"


def _all_scenes(answer: AllScenes, source_lines: bool | None) -> Iterator[str]:
    """The smallest story, then a row for each scene, then the promises that were exercised."""
    if answer.smallest is not None:
        yield from _wrap(headline(answer.smallest))
        yield from _drawn(answer.smallest, source_lines)
        yield ""
    held = sum(isinstance(one, Pass) and one.complete for _, one in answer.rows)
    broke = sum(isinstance(one, Violation) for _, one in answer.rows)
    bounded = sum(isinstance(one, Pass) and not one.complete for _, one in answer.rows)
    many = len(answer.rows) + len(answer.left)
    said = [f"{held} hold", f"{broke} break", *([f"{bounded} hold up to a bound"] if bounded else [])]
    said.append(f"{many - held - broke - bounded} not decided")
    yield from _wrap(f"{answer.driver} in {number_of(many, 'scene')}: {', '.join(said)} "
                     f"({effort(answer.effort)}, {answer.effort.seconds:.1f} s)")  # fmt: skip
    wide = max(len(name) for name, _ in answer.table)
    for trial, one in answer.rows:
        tested = f"{len(one.watched) - len(one.not_tested)}/{len(one.watched)}"
        same = f"  (as {', '.join(name.partition('-')[0] for name in trial.same)})" if trial.same else ""
        yield from _wrap(f"{trial.name:<{wide}}  {tested:>5}  {one.word}{same}", "  ", f"{'':{wide + 11}}")
    yield from (f"  {name:<{wide}}         NOT BEGUN" for name in answer.left)
    if answer.by_name:
        names = ", ".join(answer.by_name)
        yield from _wrap(
            f"not among them, as they are about hardware that is off elsewhere: {names}; ask for each by its name"
        )
    yield from watch(answer)


def _undecided(answer: Incomplete) -> list[str]:
    """What was tried at random, which cell grew, which actor made it grow, and what to try."""
    lines = [] if answer.chance is None else _wrap(f"{by_chance(answer.chance)}: none broke a promise")
    if answer.grows is not None and answer.busiest is not None and answer.grows[1]:
        lines += _wrap(f"most values: {answer.grows[0]} ({answer.grows[1]:,}); most places: {answer.busiest[0]} "
                       f"({answer.busiest[1]:,})")  # fmt: skip
    if answer.advice:
        lines += _wrap(f"to try: {'; '.join(answer.advice)}")
    return lines


def by_chance(tried: RandomOrders) -> str:
    """``tried besides: 1,204 random orders (PCT), of depth 2 to 5``."""
    low, high = tried.depths
    depth = f"{low} to {high}" if high > low else str(low)
    return f"tried besides: {number_of(tried.orders, 'random order')} (PCT), of depth {depth}"


def _found_by_chance(tried: RandomOrders) -> str:
    """How a story was found that the search did not find, and what is known of smaller ones."""
    known = "" if tried.switches is None else f"; all orders with up to {tried.switches} switches hold"
    return (
        f"found by a random order (PCT, number {tried.orders:,}, depth {tried.broke}) and then shortened: there may be "
        f"a smaller story{known}"
    )


def watch(answer: Verdict) -> list[str]:
    """How many promises were watched, how many were exercised, and which were not."""
    if not answer.watched:
        return []
    tested = len(answer.watched) - len(answer.not_tested)
    until = {AllScenes: " somewhere", Violation: " before it broke", Incomplete: " so far"}.get(type(answer), "")
    said = f"watched: {number_of(len(answer.watched), 'promise')}, {tested} put to the test{until}"
    if answer.not_tested and not isinstance(answer, Violation):
        said += f"; not: {', '.join(answer.not_tested)}"
    return _wrap(said)


def headline(answer: Verdict) -> str:
    """The answer in one sentence, with what it took."""
    what = effort(answer.effort)
    if isinstance(answer, Violation):
        switches = number_of(answer.switches, "switch", "switches")
        return f"{answer.named} BREAKS {answer.rule}: {switches}, {number_of(answer.steps, 'step')} ({what})"
    if isinstance(answer, Incomplete):
        tried = "" if answer.switches is None else f"; all orders with up to {answer.switches} switches hold"
        return f"{answer.named}: NOT DECIDED, {answer.why}{tried} ({what})"
    assert isinstance(answer, Pass)
    if not answer.complete:
        return f"{answer.named} holds in every order with at most {answer.bound} switches; others not tried ({what})"
    orders = f": {number_of(answer.orders, 'order')}" if answer.orders is not None else ""
    return f"{answer.named} HOLDS in every order of events{orders} ({what}{_by_symmetry(answer.orbits)})"


def _by_symmetry(orbits: Orbits | None) -> str:
    """``, by symmetry of 3 Importer: 120 orbits``, or nothing."""
    if orbits is None:
        return ""
    members = ", ".join(f"{many} {kind}" for kind, many in orbits.members)
    return f", by symmetry of {members}: {number_of(orbits.count, 'orbit')}"


def netted(net: Net) -> str:
    """What the second net found, in one sentence."""
    many = "all" if net.again == net.steps else f"{net.again:,} of"
    return f"second net: {many} {number_of(net.steps, 'step')} run again after other paths, none differed"


def effort(done: Effort) -> str:
    """``1,632 states, 2,902 transitions``."""
    return f"{number_of(done.states, 'state')}, {number_of(done.transitions, 'transition')}"


def _drawn(answer: Violation, source_lines: bool | None) -> list[str]:
    """The story, which runs the driver's code once more; left out where that code raises while it is shown."""
    try:
        with Watchdog():
            return list(_violation(answer, source_lines))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and comes_from_outside(error):
            raise
        why = f"its story cannot be drawn: {type(error).__name__} in {where(error)}"
        return [
            *_wrap(answer.what, "  "),
            *_wrap(f"order of events: {schedule_text(answer.run.schedule)}"),
            *_wrap(why),
        ]


def _violation(answer: Violation, source_lines: bool | None) -> Iterator[str]:
    run = answer.run
    yield from _wrap(answer.what, "  ")
    if answer.chance is not None:
        yield from _wrap(_found_by_chance(answer.chance))
    if answer.shrunk is not None:
        yield from _wrap(shrunk(answer, answer.shrunk))
    if answer.also is not None:
        other = answer.also
        story = f"{number_of(other.switches, 'switch', 'switches')}, {number_of(other.steps, 'step')}"
        yield from _wrap(f"also broken, in a story of {story}: {other.rule} ({other.what})")
    yield from watch(answer)
    yield ""
    yield from columns(run, source_lines)
    if answer.then:
        yield from _wrap(f"and then {answer.then} begins a step that never ends")
    yield ""
    if answer.rule in ONLY_HERE:
        yield from _wrap(f"BROKEN: {answer.rule}, by {answer.culprit}")
        yield from _wrap(f"promised: {ONLY_HERE[answer.rule]}", "  ")
        yield from _wrap(f"happened: {answer.what}", "  ")
    elif answer.rule in run.scenario.own and issubclass(run.scenario.own[answer.rule], LeadsTo):
        yield from _wrap(f"BROKEN: {answer.rule}")
        yield from _wrap(f"promised: {run.scenario.own[answer.rule].promise}", "  ")
        yield from _wrap(f"happened: {answer.what}", "  ")
    else:
        yield from verdict(run, answer.rule)
    yield ""
    if run.scenario.cast:
        yield from _wrap("A token cannot carry a driver of your own. This test can; put it beside your file:")
        yield ""
        yield pytest_of(answer).rstrip()
    else:
        needs = run.scenario.needs
        yield f"token (it needs {needs} beside itself):" if needs else "token:"
        token = token_of(run)
        yield from (token[at : at + WIDTH] for at in range(0, len(token), WIDTH))


def shrunk(answer: Violation, before: Shrunk) -> str:
    """The story before it was made smaller, in one sentence."""
    now = answer.run.settings
    scene = [f"{name} {was} -> {now[name]}" for name, was in before.settings.items() if now[name] != was]
    story = [
        f"{was} -> {number_of(is_now, one, many)}"
        for was, is_now, one, many in (
            (before.switches, answer.switches, "switch", "switches"),
            (before.steps, answer.steps, "step", "steps"),
        )
        if was != is_now
    ]
    tries = number_of(before.tries, "try", "tries")
    ended = tries if before.finished else f"{tries}, then its time was up"
    if not scene and not story:
        return f"nothing smaller breaks it ({ended})" if before.finished else f"not made smaller ({ended})"
    return f"made smaller: {', '.join([*scene, *story])} ({ended}, each run again from its start)"


def changed_knobs(run: Run) -> dict[str, Any]:
    """The knobs that are not at their default."""
    return run.scenario.changed(run.settings)


def pytest_of(answer: Violation) -> str:
    """A test to paste: it fails as long as the same order of events breaks the same promise."""
    run, rule = answer.run, answer.rule
    name = f"test_{rule}_in_{run.scenario.name}".replace("-", "_")
    imports, scene = _scene_in_code(run.scenario)
    imports.append("from p2plab.search import breaks")
    roles = ""
    for role, given in run.scenario.cast.items():
        imports.append(f"from {given.__module__} import {given.__name__}")
        roles += f", {role}={given.__name__}"
    knobs = f", knobs={changed_knobs(run)!r}" if changed_knobs(run) else ""
    order = schedule_text((*run.schedule, answer.then) if answer.then else run.schedule)
    chunks = textwrap.wrap(order, 60)
    lines = [f'        "{chunk}{" " if at < len(chunks) - 1 else ""}"' for at, chunk in enumerate(chunks)]
    return "\n".join(
        [
            *imports,
            "",
            "",
            f"def {name}():",
            f'    """{answer.what.replace(chr(34), chr(39)).replace(chr(92), "/")}"""',
            "    order = (",
            *(lines or ['        ""']),
            "    )",
            *(_shown(lambda: list(_comments(run))) or ()),
            f'    assert not breaks("{rule}", {scene}, order{roles}{knobs})',
            "",
        ]
    )


def _scene_in_code(scene: Scenario) -> tuple[list[str], str]:
    """How a test gets a scene: its imports, and the expression. Your own scene is a variable of your file."""
    if scene.needs:
        path, _, variable = scene.needs.rpartition(":")
        return [f"from {Path(path).stem} import {variable}"], variable
    if scene.name not in known.scenes():
        for name, module in list(sys.modules.items()):
            if name.startswith("p2plab."):
                continue
            for variable, value in list(getattr(module, "__dict__", {}).items()):
                if isinstance(value, Scenario) and value.name == scene.name:
                    return ([] if name == "__main__" else [f"from {name} import {variable}"]), variable
    return ["from p2plab import find"], f'find("{scene.name}")'


def _comments(run: Run) -> Iterator[str]:
    """The lines of the reader's own driver that each step ran, and what it changed, below the order of the test."""
    for ran in driver_steps(run, shipped=False):
        yield f"    # {ran.step} {ran.actor}"
        for said in (*ran.lines, *ran.changes):
            yield textwrap.shorten(f"#     {said}", _COMMENT, placeholder=" ...").replace("# ", "    #     ", 1)


def as_json(answer: Verdict, source_lines: bool | None = None) -> dict[str, Any]:
    """The answer as one JSON object; ``source_lines`` as for :func:`text`."""
    if isinstance(answer, AllScenes):
        return {
            "driver": answer.driver,
            "verdict": answer.word,
            "exit": exit_status(answer),
            "scenes": [
                {**as_json(one, source_lines), "scene": trial.name, "role": trial.role, "same": list(trial.same)}
                for trial, one in answer.rows
            ],
            "not_begun": list(answer.left),
            "by_name": list(answer.by_name),
            "smallest": None if answer.smallest is None else as_json(answer.smallest, source_lines),
            "watched": list(answer.watched),
            "never_tested": list(answer.not_tested),
            "seconds": round(answer.effort.seconds, 3),
        }
    common: dict[str, Any] = {
        "scene": answer.scene,
        "verdict": {Pass: "pass", Violation: "violation", Incomplete: "incomplete"}[type(answer)],
        "states": answer.effort.states,
        "transitions": answer.effort.transitions,
        "seconds": round(answer.effort.seconds, 3),
        "exit": exit_status(answer),
        "watched": list(answer.watched),
        "not_tested": list(answer.not_tested),
    }
    if isinstance(answer, Pass):
        orders = None if answer.orders is None else str(answer.orders)  # too large for a reader's double
        more: dict[str, Any] = {"complete": answer.complete, "bound": answer.bound, "orders": orders}
        if answer.orbits is not None:
            more["orbits"] = {"count": answer.orbits.count, "members": dict(answer.orbits.members)}
        if answer.net is not None:
            more["second_net"] = {"again": answer.net.again, "steps": answer.net.steps}
        return common | more
    if isinstance(answer, Incomplete):
        named = {"grows": answer.grows, "busiest": answer.busiest, "advice": list(answer.advice)}
        more = {"why": answer.why, "switches_tried": answer.switches, **named}
        return common | more | {"random_orders": _chance_as_json(answer.chance)}
    assert isinstance(answer, Violation)
    run = answer.run
    return common | {
        "rule": answer.rule,
        "culprit": answer.culprit,
        "what": answer.what,
        "switches": answer.switches,
        "steps": answer.steps,
        "shrunk_from": None if answer.shrunk is None else _shrunk_as_json(answer.shrunk),
        "also": None if answer.also is None else _also_as_json(answer.also),
        "random_orders": _chance_as_json(answer.chance),
        "settings": run.settings,
        "schedule": list(run.schedule),
        "then": answer.then or None,
        "token": None if run.scenario.cast else token_of(run),
        "pytest": pytest_of(answer),
        "lines": _shown(lambda: lines_as_json(run, source_lines)),
        "log": _shown(lambda: _log_as_json(run)),
    }


def _shown(look: Callable[[], T]) -> T | None:
    """The result of ``look``, which runs the driver's code once more; None where that code raises."""
    try:
        with Watchdog():
            return look()
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and comes_from_outside(error):
            raise
        return None


def _log_as_json(run: Run) -> list[Any]:
    found: list[Any] = json.loads(json.dumps([to_json(entry) for entry in run.log]))
    return found


def _also_as_json(other: Violation) -> dict[str, Any]:
    return {
        "rule": other.rule,
        "culprit": other.culprit,
        "what": other.what,
        "switches": other.switches,
        "steps": other.steps,
        "schedule": list(other.run.schedule),
    }


def _chance_as_json(tried: RandomOrders | None) -> dict[str, Any] | None:
    if tried is None:
        return None
    return {
        "orders": tried.orders,
        "depths": list(tried.depths),
        "longest": tried.steps,
        "broke_at_depth": tried.broke or None,
    }


def _shrunk_as_json(before: Shrunk) -> dict[str, Any]:
    return {
        "settings": dict(before.settings),
        "switches": before.switches,
        "steps": before.steps,
        "tries": before.tries,
        "finished": before.finished,
    }


def _wrap(line: str, indent: str = "", hanging: str | None = None) -> list[str]:
    rest = f"{indent}  " if hanging is None else hanging
    return textwrap.wrap(line, WIDTH, initial_indent=indent, subsequent_indent=rest, break_long_words=True)
