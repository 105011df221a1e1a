"""``p2plab conform mm``: recorded sequences of a real kernel, replayed against the model, operation by operation."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from p2plab.conform.mm_ops import perform
from p2plab.conform.mm_read import Pair, Recording, read_cases
from p2plab.conform.mm_replay import COMPARED, Replay
from p2plab.conform.mm_two import differences, outcomes, recorded_outcome
from p2plab.conform.report import Comparison, Difference, NotModelled
from p2plab.core.actors import run_alone
from p2plab.core.errors import BadInput
from p2plab.core.world import World

EVENT_FIELDS = ("cb", "event", "start", "end", "blockable", "mmap_lock", "i_mmap_locked")


def conform(paths: Iterable[Path]) -> Comparison:
    """Replay all cases of all files."""
    report = Comparison("mm")
    for path in paths:
        pairs: dict[tuple[object, ...], list[Pair]] = {}
        for case in read_cases(path):
            if isinstance(case, Pair):
                pairs.setdefault(case.asked, []).append(case)
            else:
                _replay(case, path.name, report)
        for repetitions in pairs.values():
            _two_threads(repetitions, path.name, report)
    return report


def _two_threads(pairs: list[Pair], source: str, report: Comparison) -> None:
    """All repetitions of one pair: each counts as one operation; its recorded outcome must be a possible one."""
    report.cases += len(pairs)
    first = pairs[0]
    what = f"{first.a['op'][:40]} with {first.b['op'][:40]}"
    try:
        possible = outcomes(first)
    except NotModelled:
        possible = None
    except BadInput as error:
        raise BadInput(f"{first.where}: pair {first.name[:60]}: {error}") from None
    if possible is None:
        report.not_modelled[f"two threads: {what}"] += len(pairs)
        return
    for pair in pairs:
        differing = [Difference(source, pair.name, what, *difference) for difference in differences(pair, possible)]
        if differing:
            report.differs(*differing)
        else:
            report.agree += 1
    if not first.window:
        report.never_recorded += len(possible - {recorded_outcome(pair) for pair in pairs})


def _replay(case: Recording, source: str, report: Comparison) -> None:
    report.cases += 1

    async def story() -> None:
        await _run(Replay(case), case, source, report)

    World(lambda _world: run_alone(story))


async def _run(replay: Replay, case: Recording, source: str, report: Comparison) -> None:
    for number, op in enumerate(case.ops):
        try:
            if not number:
                await replay.begin(op)
            result = await perform(replay, op)
        except NotModelled:
            for rest in case.ops[number:]:
                report.not_modelled[operation_name(rest)] += 1
            return
        except BadInput as error:
            raise BadInput(f"{case.where}: case {case.name[:60]}: {error}") from None
        differing = list(_differences(op, result))
        if differing:
            text = describe(op)
            report.differs(*(Difference(source, case.name, text, *difference) for difference in differing))
        else:
            report.agree += 1


def operation_name(op: dict[str, Any]) -> str:
    """The operation's name, with the advice of a madvise."""
    return f"madvise {op['advice']}"[:60] if op["op"] == "madvise" and "advice" in op else str(op["op"])[:60]


_RESULTS = ("op", "ret", "errno", "signal", "at", "events", "child_ret", "child_events", "retry", "pop", "vmas")


def describe(op: dict[str, Any]) -> str:
    """The operation with its arguments, in pages."""
    given = {key: value for key, value in op.items() if key not in (*_RESULTS, "dev_writable", "swapped")}
    return " ".join([str(op["op"]), *(f"{key}={value}" for key, value in given.items())])[:200]


def _differences(op: dict[str, Any], result: dict[str, Any]) -> Iterable[tuple[str, Any, Any]]:
    """What differs: (what, recorded, model)."""
    for field in ("ret", "errno", "signal", "at", "child_ret"):
        if op.get(field) != result.get(field):
            yield field, op.get(field), result.get(field)
    for field in ("events", "child_events"):
        recorded = [_event(event) for event in op.get(field, []) if event.get("cb") in COMPARED]
        done = result.get(field, [])
        if field == "events" and op.get("events_dropped"):  # the recorder's log was full: the first ones are compared
            done = done[: len(recorded)]
        if recorded != done:
            yield field, recorded, done
    if "retry" in op and op["retry"] != result["retry"]:
        yield "retry", op["retry"], result["retry"]
    if "pop" in op:
        for field in ("pop", "dev_writable", "swapped"):
            if op.get(field, []) != result[field]:
                yield field, op.get(field, []), result[field]
    if "vmas" in op and op["vmas"] != result["vmas"]:
        yield "vmas", op["vmas"], result["vmas"]


def _event(event: dict[str, Any]) -> dict[str, Any]:
    return {field: event[field] for field in EVENT_FIELDS if field in event}
