"""The exercise whose answer is a scene, on the learner's own machine, in which a given broken driver is caught."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from p2plab.catalog.rig import ELSEWHERE
from p2plab.core.errors import BadInput, P2PError
from p2plab.core.run import Run
from p2plab.core.scenario import Scenario
from p2plab.core.schedule import by_seed, straight
from p2plab.course.exercises.orders import Named
from p2plab.course.exercises.task import BUDGET, Asked, Outcome
from p2plab.course.given import CallbackToWrite
from p2plab.course.hints import explain, not_awaited
from p2plab.drivers.nic import ObedientNic
from p2plab.mm import MmuNotifierRange
from p2plab.rules import PROMISES
from p2plab.search import Incomplete, Verdict, Violation, check
from p2plab.search.drivers import cast
from p2plab.search.watchdog import StepTooLong, Watchdog, silence, where
from p2plab.views.report import headline

#: The promise that the broken driver has to break.
PROMISE = "vma-alive"
STEPS = 2_000


class OnlyTheRange(CallbackToWrite):
    """The broken driver: it lets go of what the range names and of nothing else, also where the process unmaps."""

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """Everything else that it holds of that vma keeps its pointer."""
        async with self.lock:
            self.invalidation_begins(range)
            await self.let_go(range.start, range.end)
        return 0


SKELETON = """
from p2plab.catalog.bench import Bench, Plan, job, scene
from p2plab.catalog.rig import BASE, elsewhere
from p2plab.mm import LINUX_6_12
from p2plab.pci import read_machine  # or read_lspci, with the text of your `lspci -nnvvv`


class MyBench(Bench):
    @job("app")
    async def my_job(self):
        \"\"\"What the process does after it has mapped two pages at BASE.\"\"\"
        await self.mm.munmap(BASE, 2 * PAGE_SIZE)


def my_scene():
    plan = Plan(pages=2, app=("mmap", "my_job"), gpu=(), then=(), kernel=LINUX_6_12)
    mine = scene("my-scene", "a scene of my own", plan, bench=MyBench)
    return elsewhere(mine, read_machine("q35_switch1"), "03:00.0", ("04:00.0",))
"""
RECIPES = {
    "failed": "mend that call first: what a job calls has `await` in front, and takes arguments that the kernel accepts",
    "holds": "it is right wherever the whole mapping goes at once. Unmap one of the two pages: what it keeps of the other one "
    "has the pointer of before, to a vma that may be gone. Then something has to follow it: a second munmap, or the GPU",
    "reaches": "an importer has to map something: app begins with mmap, the two functions are in reach of each other "
    "(reach_matrix), and the BAR is large enough",
    "reference": "the obedient driver breaks a promise too, so it is the scene: whoever moves memory tells first "
    "(self.invalidate(), self.gpu.begin_move), and a job raises nothing",
    "other": f"it is caught, by another promise than {PROMISE}: leave out what leads there",
    "large": "two pages, one importer, and no more jobs than you need: then every order is tried in seconds",
    "machine": "end with elsewhere(scene, machine, exporter, (importer,)), where machine is read_lspci of your text",
}


def scene_of(function: object, dog: Watchdog) -> Scenario:
    """What a user's function returns. :exc:`BadInput` for anything but a scene on a machine of its own."""
    name = getattr(function, "__name__", "")
    if not inspect.isfunction(function) or inspect.signature(function).parameters:
        raise BadInput("a function without arguments was expected, which returns the scene")
    try:
        with dog.step():
            made = function()
    except P2PError:
        raise
    except StepTooLong as error:
        raise BadInput(f"{name} does not come to an end ({where(error)})") from None
    except Exception as error:  # noqa: BLE001  whatever somebody's function raises is said in a sentence
        raise BadInput(f"{name} raised {type(error).__name__}: {str(error)[:200]} (in {where(error)})") from None
    if not isinstance(made, Scenario):
        raise BadInput(f"{name} returned a {type(made).__name__}, and not a scene")
    return made


def assess(made: Scenario) -> Named:
    """Something must happen in it, the obedient driver must hold and the broken one break the promise, in every order.

    Both are judged by all promises, whatever the scene itself watches.
    """
    if not made.name.endswith(ELSEWHERE):
        said = "your scene plays on the machine of the course, and not on yours"
        return Named(None, False, said, said, "", RECIPES["machine"])
    made = replace(made, rules=tuple(dict.fromkeys((*made.rules, *PROMISES))))
    good = _checked(made, ObedientNic)
    if isinstance(good, Incomplete):
        return _too_large(good)
    if isinstance(good, Violation):
        if good.rule == "must-reach":
            return Named(
                good.run,
                False,
                f"nothing happens: {good.what}",
                _why_nothing(good.run),
                "",
                _recipe(good.run, "reaches"),
            )
        found = explain(good, _bench(made))
        said = f"the obedient driver breaks {good.rule} in your scene: {good.what}"
        return Named(good.run, False, said, found.cause, found.where, RECIPES["reference"])
    broken = _checked(made, OnlyTheRange)
    if isinstance(broken, Incomplete):
        return _too_large(broken)
    if isinstance(broken, Violation):
        if broken.rule == PROMISE:
            said = f"the obedient driver holds in every order, and the broken one breaks {PROMISE}: {broken.what}"
            return Named(broken.run, True, said)
        said = f"the broken driver breaks {broken.rule} in your scene, and not {PROMISE}"
        return Named(broken.run, False, said, broken.what, "", RECIPES["other"])
    run = _mapping_run(cast(made, importer=OnlyTheRange))
    return Named(
        run, False, "the broken driver holds in every order of your scene", _ranges(run), "", _recipe(run, "holds")
    )


def _checked(made: Scenario, importer: type) -> Verdict:
    return check(made, importer=importer, must_reach=("P2PMapped",), budget=BUDGET / 2, shrink=False)


def _too_large(verdict: Incomplete) -> Named:
    said = f"your scene is too large to be decided: {headline(verdict)}"
    return Named(None, False, said, verdict.grows[0] if verdict.grows else said, "", RECIPES["large"])


def _bench(made: Scenario) -> type:
    """The class with the scene's jobs."""
    choose = getattr(made.build, "choose", None)
    args = choose.args if isinstance(choose, functools.partial) else ()
    return next((one for one in args if isinstance(one, type)), object)


def _failed(run: Run) -> str:
    """What a job of the run did in vain: a call without ``await``, or one that the kernel refused."""
    names = not_awaited(run)
    if names:
        called = " and ".join(f"{name}()" for name in names)
        return f"{called} did not run: without `await` in front, a call only makes a coroutine"
    told = next(
        (entry for entry in run.log if entry.event.kind == "JobFailed" and not entry.actor.startswith("nic")), None
    )
    return f"at step {told.step} {told.event}" if told is not None else ""


def _recipe(run: Run, else_: str) -> str:
    return RECIPES["failed" if _failed(run) else else_]


def _why_nothing(run: Run) -> str:
    if failed := _failed(run):
        return failed
    asked = [entry for entry in run.log if entry.event.kind == "P2PMapFailed"]
    if not asked:
        return "in no order p2p_map is called: who maps, and does the process call mmap before?"
    event: Any = asked[-1].event
    return f"p2p_map is called and refused, the last time at step {asked[-1].step} with -{event.errno}"


def _mapping_run(played: Scenario) -> Run:
    """A run in which the importer has mapped something before it is called."""
    runs = (Run(played).driven(by_seed(seed), STEPS) for seed in range(40))
    kinds = {"P2PMapped", "NotifierStart"}
    found = next((run for run in runs if kinds <= {entry.event.kind for entry in run.log}), None)
    return found or Run(played).driven(straight, STEPS)


def _ranges(run: Run) -> str:
    """What was mapped, and which ranges the broken driver was notified of."""
    mapped = [entry.event for entry in run.log if entry.event.kind == "P2PMapped"]
    told = [entry for entry in run.log if entry.event.kind == "NotifierStart"]
    first: Any = mapped[0] if mapped else None
    if failed := _failed(run):
        return failed
    if first is None:
        return "in this run nothing is mapped when the process unmaps"
    if not told:
        return f"nic mapped {first.start:#x}..{first.end:#x}, and no callback was ever about it"
    events: list[Any] = [entry.event for entry in told]
    said = [f"{event.event} {event.start:#x}..{event.end:#x}" for event in events]
    return f"nic mapped {first.start:#x}..{first.end:#x}; its callbacks were about {', '.join(dict.fromkeys(said))}"


@dataclass(frozen=True, repr=False)
class SceneToWrite(Asked):
    """``check(my_scene)`` tries the function's scene with an obedient and with the broken driver."""

    name: str = "own-scene"
    goal: str = (
        "The driver OnlyTheRange (p2plab.course.exercises.own_scene) lets go of what a range names, and of nothing else. Write "
        f"a scene on a machine of yours, from its lspci text, in which it breaks {PROMISE} while ObedientNic holds."
    )
    role: str = "scene"
    skeleton: str = SKELETON.strip() + "\n"
    minutes: int = 45

    @property
    def answer(self) -> str:
        """The name of the function in the skeleton."""
        return "my_scene"

    def check(self, function: Callable[[], Scenario] | object, folder: Path | None = None) -> Outcome:
        """Save the function and what it uses, then try its scene. Never raises because of the function."""
        named, trouble = None, ""
        try:
            with silence(), Watchdog() as dog:
                made = scene_of(function, dog)
            with silence():
                named = assess(made)
        except P2PError as error:
            trouble = str(error)
        return self.answered(function, named, trouble, folder)
