"""p2plab: an explorer of peer-to-peer mappings between PCI devices, one exact step at a time.

>>> import p2plab
>>> p2plab.run("defrag-ignorant").board.first("obedience").culprit
'nic'
>>> p2plab.check("defrag-obedient").complete
True

What is public is in ``__all__``. Each function imports what it needs when it is called, so that ``import p2plab`` is
quick and needs nothing but Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from p2plab.core import known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from distributed import Client

    from p2plab.core.events import Event
    from p2plab.core.monitor import Goal, Monitor
    from p2plab.core.scenario import Scenario
    from p2plab.lab import CompareLab as _CompareLab
    from p2plab.lab import DesignsLab as _DesignsLab
    from p2plab.lab import Lab as _Lab
    from p2plab.lab import MachineLab as _MachineLab
    from p2plab.lab import MemoryLab as _MemoryLab
    from p2plab.pci import Machine as _PciMachine
    from p2plab.search.verdict import Verdict
    from p2plab.views.shown import ShownMachine, ShownRun

__version__ = "0.1.0"
__all__ = [
    "CompareLab",
    "DesignsLab",
    "Lab",
    "MachineLab",
    "MemoryLab",
    "check",
    "elsewhere",
    "find",
    "machine",
    "replay",
    "run",
    "scenes",
]


def run(
    scene: str | Scenario,
    *,
    seed: int | None = None,
    schedule: str | None = None,
    timed: bool = False,
    importer: type | str | None = None,
    exporter: type | str | None = None,
    machine: str | _PciMachine | None = None,
    exporter_at: str = "",
    importer_at: str | Sequence[str] = (),
    **knobs: int | str,
) -> ShownRun:
    """Run a scene once: its own story, or another order of events.

    ``seed``: a random order; ``schedule``: ``"gpu nic*3 !defrag ..."``, as :mod:`p2plab.core.schedule` reads it;
    ``timed``: the actor that is ready first goes first. ``importer`` and ``exporter`` are your own classes, or the value of
    the scene's knob of that name. ``machine``, ``exporter_at`` and ``importer_at`` play it elsewhere: see :func:`elsewhere`.
    ``knobs`` are the scene's. :exc:`~p2plab.core.errors.BadInput` for what cannot be used.
    """
    from p2plab.core.errors import BadInput
    from p2plab.core.schedule import by_clock, by_seed, by_text
    from p2plab.search.drivers import cast
    from p2plab.views.shown import ShownRun

    if (seed is not None) + (schedule is not None) + timed > 1:
        raise BadInput("seed, schedule and timed exclude each other: give only one of them")
    roles, more = _roles(importer, exporter)
    there = find(scene) if machine is None else elsewhere(scene, machine, exporter_at, importer_at)
    found = cast(there, **roles)
    order = by_text(found.story, strict=False)
    if seed is not None:
        order = by_seed(seed)
    elif schedule is not None:
        order = by_text(schedule)
    elif timed:
        order = by_clock
    return ShownRun(found, {**knobs, **more}).driven(order)


def replay(token: str) -> ShownRun:
    """The run of a token (``p2p1.…``), step by step as it was.

    :exc:`~p2plab.core.token.StaleToken` for one of another version; its ``run`` has what can still be replayed.
    """
    from p2plab.core.token import open_token
    from p2plab.views.shown import ShownRun

    found = open_token(token, find)
    return ShownRun(found.scenario, found.settings, found.schedule)


def check(
    what: str | Scenario | type,
    *,
    importer: type | str | None = None,
    exporter: type | str | None = None,
    rules: Sequence[str] | None = None,
    must_reach: Sequence[str] = (),
    bound: int | None = None,
    budget: float | Literal["usual"] | None = "usual",
    states: int = 3_000_000,
    shrink: bool = True,
    workers: int | None = None,
    cluster: str | Client | None = None,
    **knobs: int | str,
) -> Verdict:
    """Try every order of a scene's events; of every scene that takes a class of yours. The verdict's repr is the report.

    ``check(MyNic)`` runs your driver through all scenes, the budget shared out; interrupting it keeps what is known.
    ``importer`` and ``exporter`` are your own classes, or the value of the scene's knob of that name. ``rules``: the
    promises to watch; ``must_reach``: kinds of event that some order must reach; ``bound``: switches; ``budget``: seconds
    (None: no limit; usually 10, for all scenes together 60); ``states``: the maximum number of states; ``shrink``: make a
    counterexample smaller; ``workers``: processes that share a large search (usually 1) or all scenes (usually one a
    processor); ``cluster``: those of a Dask cluster. ``knobs`` are the scene's.
    :exc:`~p2plab.core.errors.BadInput` for what cannot be used.
    """
    from p2plab.core.errors import BadInput
    from p2plab.search.checking import check as search

    if isinstance(what, type):
        if importer or exporter or must_reach or knobs or cluster:
            raise BadInput(
                "a class alone is tried in every scene, and takes no other option; for one scene: check(SCENE, importer=…)"
            )
        from p2plab.search.allscenes import check_all
        from p2plab.search.crew import processors

        seconds = 60.0 if budget == "usual" else budget
        return check_all(
            what,
            budget=seconds,
            rules=rules,
            shrink=shrink,
            states=states,
            bound=bound,
            workers=processors() if workers is None else workers,
        )
    roles, more = _roles(importer, exporter)
    return search(
        find(what),
        shrink=shrink,
        workers=1 if workers is None else workers,
        cluster=cluster,
        knobs={**knobs, **more},
        rules=rules,
        bound=bound,
        budget=10.0 if budget == "usual" else budget,
        states=states,
        must_reach=must_reach,
        **roles,
    )


def find(name: str | Scenario) -> Scenario:
    """The scene of that name (``defrag-obedient``) or code (``F1``). A scene is its own answer.

    :exc:`~p2plab.core.errors.BadInput` says which there are.
    """
    from p2plab.core.scenario import Scenario
    from p2plab.everything import find as by_name

    return name if isinstance(name, Scenario) else by_name(name)


def elsewhere(
    scene: str | Scenario, machine: str | _PciMachine, exporter_at: str, importer_at: str | Sequence[str]
) -> Scenario:
    """A scene on a machine of yours, for :func:`run`, :func:`check` and :func:`Lab`: roles by address (``03:00.0``).

    ``p2plab.Lab(p2plab.elsewhere("defrag-obedient", "lspci.txt", "03:00.0", "04:00.0"))``.
    :exc:`~p2plab.core.errors.BadInput` for what cannot be read or is not there; :exc:`~p2plab.core.errors.NotKnown` where
    the machine does not show whether the importer reaches the exporter.
    """
    from p2plab.catalog.rig import elsewhere as placed
    from p2plab.pci import read_machine

    found = read_machine(machine) if isinstance(machine, str) else machine
    importers = (importer_at,) if isinstance(importer_at, str) else tuple(importer_at)
    return placed(find(scene), found, exporter_at, importers)


def scenes() -> Mapping[str, Scenario]:
    """Every scene by its name: the catalogue, then the designs of today under one list of steps."""
    from p2plab.everything import SCENES

    return SCENES


def machine(source: str) -> ShownMachine:
    """A machine: a file that ``lspci -vvv`` printed, a sysfs directory, a recording, or a recorded machine's name.

    ``p2plab.machine("lspci.txt").reach("03:00.0", "04:00.0")`` answers who reaches whom.
    :exc:`~p2plab.core.errors.BadInput`, with the line, for what cannot be read.
    """
    from p2plab.pci import read_machine
    from p2plab.views.shown import shown_machine

    return shown_machine(read_machine(source))


def Lab(scene: str | Scenario = "workbench", token: str = "", **knobs: int | str) -> _Lab:
    """The explorer of one scene, or of a token's run, in a notebook: buttons, pictures, rules."""
    explorer: type[_Lab] = _explorer("Lab")
    return explorer(scene, token, **knobs)


def CompareLab(*scenes: str | tuple[str, Mapping[str, object]]) -> _CompareLab:
    """Up to four scenes side by side in a notebook; a scene with other knobs is a pair of name and knobs."""
    explorer: type[_CompareLab] = _explorer("CompareLab")
    return explorer(*scenes)


def DesignsLab(question: str = "learns of a move by", design: str = "rfc-vma", kernel: str = "") -> _DesignsLab:
    """What the kernel did instead, in a notebook: designs by questions, each answer with its run; ``kernel``: in that one."""
    explorer: type[_DesignsLab] = _explorer("DesignsLab")
    return explorer(question, design, kernel)


def MachineLab(source: str = "q35_switch2") -> _MachineLab:
    """A machine in a notebook: its tree, its address map, who reaches whom."""
    explorer: type[_MachineLab] = _explorer("MachineLab")
    return explorer(source)


def MemoryLab(operation: str = "munmap", kind: str = "device", kernel: str = "6.12") -> _MemoryLab:
    """Which notifiers a memory operation calls, in a notebook."""
    explorer: type[_MemoryLab] = _explorer("MemoryLab")
    return explorer(operation, kind, kernel)


def _explorer(name: str) -> Any:
    """An explorer of that name. :exc:`~p2plab.core.errors.NotInstalled` where p2plab came without them."""
    try:
        from p2plab import lab

        return getattr(lab, name)
    except ModuleNotFoundError as missing:
        if (missing.name or "p2plab").partition(".")[0] == "p2plab":
            raise
        from p2plab.core.errors import NotInstalled

        raise NotInstalled("the explorers", str(missing.name)) from None


def _roles(importer: type | str | None, exporter: type | str | None) -> tuple[dict[str, type], dict[str, str]]:
    """Classes that play a role, and values of knobs that have a role's name."""
    given = {"importer": importer, "exporter": exporter}
    knobs = {role: value for role, value in given.items() if isinstance(value, str)}
    roles = {role: value for role, value in given.items() if value is not None and not isinstance(value, str)}
    return roles, knobs


def _events() -> Mapping[str, type[Event]]:
    from p2plab.everything import EVENTS

    return EVENTS


def _monitors() -> Mapping[str, type[Monitor]]:
    from p2plab.rules import RULES

    return RULES


def _goals() -> Mapping[str, Goal]:
    from p2plab.rules import GOALS

    return GOALS


def _judged(scene: Scenario, classes: Mapping[str, type]) -> Scenario:
    from p2plab.rules.beside import with_own

    return with_own(scene, classes)


def _report(answer: Verdict) -> str:
    from p2plab.views.report import text

    return text(answer)


def __dir__() -> list[str]:
    """What TAB offers: the public names, not the rooms that happen to be imported."""
    return [*__all__, "__doc__", "__version__"]


known.events, known.scenes, known.monitors, known.goals = _events, scenes, _monitors, _goals
known.judged, known.report = _judged, _report
