"""``p2plab conform scenes``: scenes played on a real kernel, compared with the same scenes in the model of that kernel.

A scene is replayed in its story's order; a variant, or a scene whose story puts its steps in another order, in the
record's own. Compared are, actor by actor, the calls, callbacks, results, slots and beats; where each beat landed; the
bytes in each slot at the end; which actors are stuck; and the kernel's complaints, with the rules that broke.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from p2plab.catalog import CASES
from p2plab.catalog.case import Case
from p2plab.catalog.importers.f03_takes_mmap_lock import TakesMmapLockForReading, TakesMmapLockInInterval
from p2plab.catalog.rig import NICS, Plan, Rig, Setup, job, jobs_of
from p2plab.conform.report import Comparison, Difference, NotModelled
from p2plab.conform.scenes_order import in_its_order
from p2plab.conform.scenes_read import Record, read_record
from p2plab.conform.scenes_says import unexplained
from p2plab.conform.scenes_story import Reader, Token, by_actor, of_record
from p2plab.core.errors import BadInput
from p2plab.core.lock_classes import ANNOTATIONS, Lockdep
from p2plab.core.lockdep import LockHistory
from p2plab.core.run import Run
from p2plab.core.schedule import Schedule, by_text, straight
from p2plab.core.worker import JobFailed
from p2plab.drivers.odp import OdpNic
from p2plab.drivers.trusting import TrustingGpu
from p2plab.mm.kernel import KERNELS
from p2plab.p2p.events import BeatLanded, IommuFault
from p2plab.p2p.things import things_of
from p2plab.rules import PRICES, PROMISES, RULES, judge
from p2plab.rules.damage import landings

#: No replay takes this many steps; one that does is a live-lock.
LONGEST_REPLAY = 5_000
#: The aspects that are compared: one operation each for a record.
ASPECTS = ("events", "beats", "bytes", "stuck", "kernel says", "lockdep")
#: What cannot agree, because the recording is about something else: (scene, kind, or "" for both) -> aspects and reason.
EXCEPTIONS: Mapping[tuple[str, str], tuple[tuple[str, ...], str]] = {
    ("C2", ""): (("events", "beats"), "recorded with another harness: one bare p2p_map, without HMM's walk around it"),
    ("E10", "broken"): (
        ("beats", "bytes", "kernel says"),
        "QEMU's bridges route everything to each other; the machine of the scene would not",
    ),
    ("E13", "broken"): (("events", "beats", "bytes"), "the play lets the importer map again between the invalidations"),
}
#: Options of the recording drivers that the scene, or its knobs, have in themselves.
_KNOWN_OPTIONS = {"slots", "policy", "variant", "timed", "nonblocking", "quiescing", "faults", "revoke_iommu", "odp"}
#: An option of the recording drivers that some scenes are about.
_ABOUT = {"alloc_under_lock=1": ("X1", "X2")}
#: Options that select another class for a role.
_PLAYED_BY: Mapping[str, Mapping[str, Any]] = {
    "trusting=1": {"exporter": TrustingGpu},
    "variant=F3r,good": {"importer": TakesMmapLockForReading},
}
#: Broken importers of 2019 as they are with an interval notifier.
_INTERVAL: Mapping[str, type[OdpNic]] = {"F3": TakesMmapLockInInterval}


@dataclass
class ScenesReport(Comparison):
    """Besides the counts: each exception with its reason, how the orders agree, and what is logged by the drivers only."""

    exceptions: list[tuple[str, str, str]] = field(default_factory=list)  #: (record, aspect, reason)
    orders: Counter[str] = field(default_factory=Counter)
    drivers_own: Counter[str] = field(default_factory=Counter)  #: events of the recording drivers, which have no twin
    left_out: list[tuple[str, str]] = field(default_factory=list)  #: (record, why it is not modelled)
    unheard: list[tuple[str, str]] = field(
        default_factory=list
    )  #: (record, what lockdep should have said, and did not)
    files: dict[str, str] = field(default_factory=dict)  #: source -> agrees, differs or not modelled

    @property
    def operations(self) -> int:
        """How many aspects of records were looked at, exceptions among them."""
        return super().operations + len(self.exceptions)

    def as_json(self) -> dict[str, Any]:
        """The report as one JSON object."""
        return {
            **super().as_json(),
            "exceptions": [dict(zip(("record", "aspect", "reason"), row, strict=True)) for row in self.exceptions],
            "orders": dict(sorted(self.orders.items())),
            "drivers_own": dict(sorted(self.drivers_own.items())),
            "left_out": [dict(zip(("record", "reason"), row, strict=True)) for row in self.left_out],
            "unheard": [dict(zip(("record", "chain"), row, strict=True)) for row in self.unheard],
            "files": self.files,
        }

    def lines(self) -> Iterator[str]:
        """The report as text."""
        yield from super().lines()
        for record, reason in self.left_out:
            yield f"      {record}: {reason}"
        yield f"  exceptions   {len(self.exceptions)}"
        for record, aspect, reason in self.exceptions:
            yield f"    {record}, {aspect}: {reason}"
        yield f"  lockdep      silent in {len(self.unheard)} where the model's would report"
        yield from (f"    {record}: {chain}" for record, chain in self.unheard)
        for order, count in sorted(self.orders.items()):
            yield f"  events {order:<45} {count}"
        if self.drivers_own:
            words = ", ".join(f"{word} {count}" for word, count in self.drivers_own.most_common())
            yield f"  only in the recording drivers, not compared: {words}"


def conform(paths: Iterable[Path]) -> ScenesReport:
    """Compare each record with the model. :exc:`BadInput` for a file that is no record, or one of an unknown scene."""
    report = ScenesReport("scenes")
    for path in paths:
        record = read_record(path)
        where = f"{path.parent.name}/{record.source}"
        report.cases += 1
        try:
            run, order = _replay(record)
        except NotModelled as reason:
            report.not_modelled[str(reason)] += len(ASPECTS)
            report.left_out.append((where, str(reason)))
            report.files[where] = "not modelled"
            continue
        _report(record, run, order, where, report)
    return report


def _exception(record: Record) -> tuple[tuple[str, ...], str]:
    """The aspects of a record that need not agree, and why."""
    return EXCEPTIONS.get((record.scene, record.kind), EXCEPTIONS.get((record.scene, ""), ((), "")))


def _report(record: Record, run: Run, order: str, where: str, report: ScenesReport) -> None:
    aspects, reason = _exception(record)
    found = differences(record, run)
    report.drivers_own += of_record(record.events)[1]
    differing = False
    if (chains := _lockdep(record, run)) and not any(said.kind == "lockdep" for said in record.says):
        report.unheard.append((where, " -> ".join(chains[0])))
    for aspect in ASPECTS:
        if aspect in aspects and aspect in found:
            report.exceptions.append((where, aspect, reason))
        elif aspect in found:
            differing = True
            report.differs(Difference(where, record.name, aspect, aspect, *found[aspect]))
        else:
            report.agree += 1
    if "events" not in found:
        report.orders[order] += 1
    report.files[where] = "differs" if differing else "agrees"


# -- the replay ---------------------------------------------------------------------------------------------------------


def _replay(record: Record) -> tuple[Run, str]:
    """The run that is compared, and how its order agrees. :exc:`NotModelled` for what the model does not have."""
    case = CASES.get(record.code)
    if case is None:
        raise BadInput(f"{record.source}: there is no scene {record.code[:20]!r}; there are {', '.join(CASES)}")
    kernel = KERNELS.get(record.kernel)
    if kernel is None:
        raise NotModelled(f"Linux {record.kernel}; modelled are {', '.join(KERNELS)}")
    for option in record.options:
        known = option in _PLAYED_BY or option.partition("=")[0] in _KNOWN_OPTIONS
        if not known and record.code not in _ABOUT.get(option, ()):
            raise NotModelled(f"the recording drivers' option {option[:40]!r}")
    at: dict[str, Any] = {"kernel": kernel, "poisoned": record.poisoned, **_interval(record, case)}
    for option in record.options:
        at.update(_PLAYED_BY.get(option, {}))
    if record.varied and not any(step.startswith(("app", "app2")) and " bind nic2 " in step for step in record.play):
        at |= {"more": (), "second_process": False}
    if record.apart and len(_plan(case, record.kind).importers_at) > 1:
        at["importers_at"] = (NICS["same-switch"], NICS["other-switch"])
    plan = _plan(case, record.kind)
    at["app"] = tuple(job for job in plan.app if job != "exit")  # the process exits after the play: see _broken
    told = _run(record, case, at, by_text(case.scenario.story, strict=False))
    order = _agreement(record, told)
    if order or "events" in _exception(record)[0]:
        return told, order
    pages = _plan(case, record.kind).pages
    own = _run(record, case, {**at, "app": (), "gpu": (), "maps": False}, in_its_order(record, pages))
    failed = [e.event.error for e in own.log if isinstance(e.event, JobFailed) and e.actor == "gpu"]
    if _gives_up(record) and not any("ENOSPC" in error for error in failed):
        raise NotModelled("an exporter that does not evict again where an importer took the room it had made")
    return own, "in the record's order"


def _gives_up(record: Record) -> bool:
    """Whether the object of the recorded exporter found no room."""
    return any(who == "gpu" and text.startswith("< ") and text.endswith("-ENOSPC") for who, text in record.events)


def _plan(case: Case, kind: str) -> Plan:
    build = case.scenario.build
    assert isinstance(build, Setup)
    return build.choose({"driver": kind})[1]


def _interval(record: Record, case: Case) -> dict[str, Any]:
    """The importer with an interval notifier, where the record has one and the scene does not."""
    if "odp=1" not in record.options or issubclass(_plan(case, record.kind).importer, OdpNic):
        return {}
    if any(option.startswith("variant=") and not option.startswith("variant=E") for option in record.options):
        if record.code not in _INTERVAL:
            raise NotModelled("a broken importer of 2019 with an interval notifier")
        return {"importer": _INTERVAL[record.code]}
    return {"importer": OdpNic}


def _run(record: Record, case: Case, at: Mapping[str, Any], order: Schedule) -> Run:
    build = case.scenario.build
    assert isinstance(build, Setup)
    build = replace(build, choose=functools.partial(_exits, build.choose))
    knobs = {"driver": record.kind}
    if record.iommu:
        if not any(knob.name == "iommu" for knob in case.scenario.knobs):
            raise NotModelled(f"{case.code} with an IOMMU")
        knobs["iommu"] = "on"
    scene = replace(case.scenario, build=replace(build, at={**build.at, **at}))
    return Run(scene, knobs).driven(order, LONGEST_REPLAY)


def _exits(choose: Callable[[Any], tuple[type[Rig], Plan]], settings: Mapping[str, Any]) -> tuple[type[Rig], Plan]:
    """The scene's rig, whose process can also exit, when a play is over."""
    rig, plan = choose(settings)
    if any(job.name == "exit" for job in jobs_of(rig).values()):
        return rig, plan
    return type(rig.__name__, (rig,), {"exit": _exit}), plan


@job("app", "exit")
async def _exit(rig: Rig) -> None:
    """The processes exit without unmapping anything."""
    for station in rig.stations:
        station.exited = True
    for mm in dict.fromkeys((rig.mm, rig.mm2)):
        await mm.exit()


def _agreement(record: Record, run: Run) -> str:
    recorded, model = of_record(record.events)[0], _tokens(run)
    if recorded == model:
        return "in one total order, the story's"
    return "actor by actor, in the story's order" if by_actor(recorded) == by_actor(model) else ""


def _tokens(run: Run) -> list[Token]:
    return Reader().read(run.log).tokens


# -- the comparison -----------------------------------------------------------------------------------------------------


def differences(record: Record, run: Run) -> dict[str, tuple[Any, Any]]:
    """Aspect -> (recorded, model), for each that differs."""
    recorded, model = by_actor(of_record(record.events)[0]), by_actor(_tokens(run))
    pairs: dict[str, tuple[Any, Any]] = {
        "events": _first_difference(recorded, model),
        "beats": (_by_engine(record.beats), _by_engine(_beats(run))),
        "bytes": _bytes(record, run),
        "stuck": (sorted(record.stuck), sorted(run.world.blocked)),
    }
    found = {aspect: pair for aspect, pair in pairs.items() if pair[0] != pair[1]}
    rules = _broken(run)
    if complaints := unexplained(record.says, rules):
        found["kernel says"] = (complaints, sorted(rules))
    elif record.kind == "good" and (accused := rules & set(PROMISES)):
        found["kernel says"] = ([said.text for said in record.says], sorted(accused))
    reported = [said.chain for said in record.says if said.kind == "lockdep" and said.phase == "play"]
    if reported and reported != (expected := _lockdep(record, run)):
        found["lockdep"] = (reported, expected or "silent")
    return found


#: What the recording drivers call their locks.
_LOCKS = {"&nic->lock": "&n->lock", "&gpu->bar": "gpu_bar"}


def _lockdep(record: Record, run: Run) -> list[tuple[str, ...]]:
    """The chain that the lockdep of the record's kernel reports for the model's run, or nothing."""
    history = run.world.lock_order
    assert isinstance(history, LockHistory)
    untraced = ANNOTATIONS.get(f"{record.kernel}-notrace", ANNOTATIONS[record.kernel])
    lockdep = Lockdep(ANNOTATIONS[record.kernel] if record.traced else untraced)
    lockdep.feed(history.history, record.scene)
    return [tuple(_LOCKS.get(name, name) for name in lockdep.report.classes)] if lockdep.report is not None else []


def _first_difference(recorded: dict[str, list[str]], model: dict[str, list[str]]) -> tuple[Any, Any]:
    """The first actor whose events differ, from one event before the first that does."""
    for who in sorted({*recorded, *model}):
        ours, theirs = model.get(who, []), recorded.get(who, [])
        if ours != theirs:
            at = next(n for n in range(max(len(ours), len(theirs))) if ours[n : n + 1] != theirs[n : n + 1])
            return {who: theirs[max(0, at - 1) : at + 3]}, {who: ours[max(0, at - 1) : at + 3]}
    return {}, {}


def _by_engine(beats: Iterable[tuple[str, str, str]]) -> dict[str, list[str]]:
    engines: dict[str, list[str]] = {}
    for by, meant, hit in beats:
        engines.setdefault(by, []).append(f"{meant} in {hit or 'nothing'}")
    return dict(sorted(engines.items()))


def _beats(run: Run) -> Iterator[tuple[str, str, str]]:
    for entry, meant in landings(run.log):
        assert isinstance(entry.event, BeatLanded)
        yield entry.actor, meant, entry.event.frame


def _bytes(record: Record, run: Run) -> tuple[dict[int, str], dict[int, str]]:
    """The bytes of each slot that shows a page at the end, in both.

    A free slot's bytes belong to no object, and what a reset leaves of an object's bytes is up to the device.
    """
    lender = things_of(run.world).exporters[0]
    lost = {frame for thing in lender.memory.objects.values() if thing.state == "lost" for frame in thing.frames}
    ours: dict[int, str] = {}
    for slot, frame in enumerate(lender.aperture.shows):
        if frame is not None and frame not in lost and slot in record.bytes:
            ours[slot] = _text(lender.memory.content[frame])
    return {slot: record.bytes[slot] for slot in ours}, ours


def _text(content: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in content)


def _broken(run: Run) -> set[str]:
    """The rules and prices that broke, also when the process exits; ``<IommuFault>`` where one was logged."""
    if "exit" in run.world.actions and not run.world.why_not("!exit") and "app" not in run.world.blocked:
        run = run.then("!exit").driven(straight, LONGEST_REPLAY)
    board = judge(run.log, [RULES[name] for name in (*PROMISES, *PRICES)])
    faults = {"<IommuFault>" for entry in run.log if isinstance(entry.event, IommuFault)}
    return {finding.rule for finding in board.findings} | faults


__all__ = ["ASPECTS", "EXCEPTIONS", "ScenesReport", "conform", "differences"]
