"""Marks one hand-in: its code runs in a process of its own, everything that decides runs here.

Called by ``mark.py`` with a JSON object on standard input; writes a line of JSON for each mark as it comes. Where the search
finds that every order holds, it has believed the hand-in's own account of its state. So each pass is confirmed in fresh
processes without any merging: in the orders that break the well-known wrong answers, and in random ones.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from p2plab.core.errors import BadInput, P2PError
from p2plab.core.events import Entry
from p2plab.core.run import Run
from p2plab.core.schedule import Schedule, by_seed, straight
from p2plab.core.world import World
from p2plab.course.exercises import EXERCISES, own_scene
from p2plab.course.exercises.lines import remark
from p2plab.course.exercises.orders import ToFind, order_in, try_order
from p2plab.course.exercises.own_rule import RuleToWrite, Spoke, assess, runs
from p2plab.course.exercises.own_scene import SceneToWrite
from p2plab.course.exercises.task import Exercise
from p2plab.course.given import look_at_base
from p2plab.course.keep import LONGEST_SOURCE
from p2plab.course.marking.handin import driver
from p2plab.course.marking.offered import entry_as_json, hello
from p2plab.course.marking.process import Child, Gone
from p2plab.course.marking.scene_data import NeedsAHand, scene_from, scene_hello
from p2plab.rules import judge, watched_by
from p2plab.search import check
from p2plab.search.confirm import finding_of
from p2plab.search.drivers import cast
from p2plab.search.verdict import Pass, Violation
from p2plab.search.watchdog import StepTooLong, silence
from p2plab.views.report import headline

#: Seconds in which a hand-in's process has to say anything; it stops endless code of its own long before.
PATIENCE = 20.0
#: Steps of a run after which it is taken for one that never ends.
LONGEST = 5_000


def main() -> None:
    """Mark what standard input describes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this ends it
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG: and it does not outlive that one
    given = json.load(sys.stdin)
    most = max(4096, 3 * int(given["megabytes"])) << 20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    marker = Marker(given["command"], given["orders"], int(given["random"]), float(given["budget"]))
    for name, answer in given["answers"].items():
        print(json.dumps({"exercise": name, **marker.mark(name, answer)}), flush=True)
    print(json.dumps({"end": True}), flush=True)
    os._exit(0)


class Marker:
    """``command`` starts a hand-in's process; ``orders`` are by exercise; ``random``: how many random orders are added."""

    def __init__(
        self, command: Sequence[str], orders: Mapping[str, Sequence[Sequence[str]]], random: int, budget: float
    ) -> None:
        self.command, self.orders, self.random, self.budget = list(command), orders, random, budget

    def mark(self, name: str, answer: Any) -> dict[str, Any]:
        """``passed``, ``rule``, ``said``, ``confirmed`` (in how many orders) of one answer. Never raises for what is in it."""
        try:
            source, wanted = str(answer["source"]), str(answer["class"])
            if len(source) > LONGEST_SOURCE:
                raise BadInput(f"more than {LONGEST_SOURCE:,} characters")
            exercise = EXERCISES[name]
            if isinstance(exercise, SceneToWrite):
                return self._played(scene_hello(source, wanted, f"{name.replace('-', '_')}.py"))
            if isinstance(exercise, RuleToWrite):
                return self._read(hello(source, wanted, f"{name.replace('-', '_')}.py", rule=True))
            if exercise.broken is not None and not wanted:
                return _order(exercise, exercise.broken, order_in(source))
            about = hello(source, wanted, f"{name.replace('-', '_')}.py")
            marked = self._searched(exercise, about)
            if marked["passed"] and exercise.smallest:
                marked["remark"] = remark(exercise.skeleton, source, exercise.smallest)
            return marked
        except Gone as error:
            return _not_marked(str(error))
        except P2PError as error:
            return {"passed": False, "rule": "", "said": str(error)[:300], "confirmed": 0}
        except (TypeError, KeyError, SyntaxError):
            return {
                "passed": False,
                "rule": "",
                "said": "it is no answer: a class and a source were expected",
                "confirmed": 0,
            }
        except (MemoryError, RecursionError) as error:
            return _not_marked(f"it takes too much of this machine ({type(error).__name__})")

    def _read(self, about: Mapping[str, object]) -> dict[str, Any]:
        """A rule: its process gets one log after the other, in any order, and says where it speaks."""
        child = Child(self.command, about, PATIENCE)
        try:
            named = assess(lambda log: _spoken(child, log), shuffled=True)
        finally:
            child.close()
        said = named.said + (f"; {named.cause}" if named.cause else "")
        return {"passed": named.right, "rule": "", "said": said[:400], "confirmed": len(runs()) if named.right else 0}

    def _played(self, about: Mapping[str, object]) -> dict[str, Any]:
        """A scene: its process turns it into data, and it is played here, with drivers of p2plab's own."""
        child = Child(self.command, about, PATIENCE)
        child.close()
        try:
            made = scene_from(child.said)
        except NeedsAHand as why:
            return _not_marked(f"a scene is marked as data, and {why}: run its check by hand")
        except (TypeError, ValueError, KeyError, IndexError, AttributeError):
            raise Gone("its process wrote something that is not an answer") from None
        with silence():
            named = own_scene.assess(made)
        said = named.said + (f"; {named.cause}" if named.cause and not named.right else "")
        return {"passed": named.right, "rule": "", "said": said[:400], "confirmed": int(named.right)}

    def _searched(self, exercise: Exercise, about: Mapping[str, object]) -> dict[str, Any]:
        child = Child(self.command, about, PATIENCE)
        try:
            answer = driver(child)
            look_at_base(answer, exercise.name, exercise.given)
            role: dict[str, Any] = {exercise.role: answer}
            verdict = check(exercise.scene, must_reach=exercise.must_reach, budget=self.budget, shrink=False, **role)
        finally:
            child.close()
        said = headline(verdict)[:300]
        if not isinstance(verdict, Pass) or not verdict.complete:
            rule, what = (verdict.rule, f"; {verdict.what}") if isinstance(verdict, Violation) else ("", "")
            return {"passed": False, "rule": rule, "said": f"{said}{what}"[:400], "confirmed": 0}
        return self._confirmed(exercise, about, said)

    def _confirmed(self, exercise: Exercise, about: Mapping[str, object], said: str) -> dict[str, Any]:
        reached: set[str] = set()
        count = 0
        for schedule in self._schedules(exercise):
            rule, what = self._run(exercise, about, schedule, reached)
            if rule:
                what = f"the search believed its own account of its state and found nothing, run {count + 1} breaks it: {what}"
                return {"passed": False, "rule": rule, "said": what[:300], "confirmed": count}
            count += 1
        if never := [kind for kind in exercise.must_reach if kind not in reached]:
            return {"passed": False, "rule": "must-reach", "said": f"no run reaches {never[0]}", "confirmed": count}
        return {"passed": True, "rule": "", "said": said, "confirmed": count}

    def _schedules(self, exercise: Exercise) -> Iterator[Schedule]:
        yield from (_as_far_as_it_goes(order) for order in self.orders.get(exercise.name, ()))
        yield from (by_seed(seed) for seed in range(self.random))

    def _run(
        self, exercise: Exercise, about: Mapping[str, object], schedule: Schedule, reached: set[str]
    ) -> tuple[str, str]:
        """The rule that breaks, and how; empty where none does. One run, in a process that did nothing before."""
        child = Child(self.command, about, PATIENCE)
        try:
            with silence():
                role: dict[str, Any] = {exercise.role: driver(child)}
                run = Run(cast(exercise.scene, **role)).driven(schedule, LONGEST)
            if run.world.enabled():
                return "retry-for-ever", f"it is not at rest after {LONGEST:,} steps"
        except StepTooLong:
            return "endless-step", "a step does not come to its next await"
        finally:
            child.close()
        reached |= {entry.event.kind for entry in run.log}
        findings = judge(run.log, watched_by(exercise.scene)).findings
        found = findings[0] if findings else finding_of(run, "calls-return")
        return ("", "") if found is None else (found.rule, found.what)


def _spoken(child: Child, log: Sequence[Entry]) -> Spoke | None:
    """Where the rule in a process speaks first. BadInput where it raises, or answers with something else."""
    child.send("watch", 0, [entry_as_json(entry) for entry in log])
    kind, *rest = child.receive()
    if kind == "endless":
        raise BadInput("the rule does not come to an end")
    if kind == "raise":
        raise BadInput(f"the rule raised {' '.join(map(str, rest))[:200]}")
    answer = rest[0] if kind == "return" and rest else None
    if not isinstance(answer, list) or len(answer) != 2 or type(answer[0]) is not int or answer[0] >= len(log):
        raise Gone("its process wrote something that is not an answer")
    return Spoke(log[answer[0]].step, str(answer[1])[:200]) if answer[0] >= 0 else None


def _order(exercise: Exercise, broken: ToFind, order: str) -> dict[str, Any]:
    """An order of events: none of the hand-in's code runs, the driver is the exercise's own."""
    with silence():
        named = try_order(exercise.scene, exercise.role, broken, order)
    return {"passed": named.right, "rule": "", "said": named.said, "confirmed": int(named.right)}


def _not_marked(why: str) -> dict[str, Any]:
    return {"passed": False, "rule": "", "said": why, "confirmed": 0, "ended": True}


def _as_far_as_it_goes(order: Sequence[str]) -> Schedule:
    """The choices of an order that can be taken, then any actor that can go on."""

    def drive(world: World) -> Iterator[str]:
        yield from (choice for choice in order if not world.why_not(choice))
        yield from straight(world)

    return drive


if __name__ == "__main__":
    main()
