"""The kinds of questions: each draws a question by its seed and computes the answer with the model."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

from p2plab.catalog import CASES
from p2plab.catalog.verdict import board, story_run
from p2plab.core.places import recorded_machines
from p2plab.core.run import Run
from p2plab.core.token import token_of
from p2plab.core.worker import JobBegun
from p2plab.course.predict import ACTOR, CELL, LIST, STEP, WIDTH, OnStage, QuizQuestion, SeededChoices
from p2plab.everything import find
from p2plab.mm.ask import Effect, ask
from p2plab.mm.ask_operations import OPERATIONS
from p2plab.mm.ask_specimen import KINDS as MEMORY
from p2plab.mm.log import held_text
from p2plab.p2p.events import MoveBegun
from p2plab.pci import RFC2019, TODAY, reach_verdict, read_machine, with_cpu
from p2plab.pci.whitelist import CPUS
from p2plab.rules import RULES
from p2plab.views.pci_tree import tree_html
from p2plab.views.stage import moments
from p2plab.views.stage.model import RIGHT, STALE, TAKEN_BACK, WAITS, Moment, entry_key
from p2plab.views.text import columns

NOTHING = "nothing: nobody is told"
#: Runs in which something moves under an importer's translations: they differ in the obedient drivers and in the result.
MOVES: tuple[tuple[str, tuple[dict[str, Any], ...]], ...] = (
    ("defrag-ignorant", ({}, {"pages": 2}, {"pages": 3}, {"pages": 6, "slots": 16}, {"pages": 5, "slots": 16})),
    ("defrag-obedient", ({}, {"pages": 3}, {"pages": 6, "slots": 16})),
    ("defrag-ignorant", ({}, {"pages": 3, "slots": 16}, {"moves": 2})),
    ("F12", ({"part": "first-page"}, {"driver": "good"})),
    ("F1", ({}, {"driver": "good"}, {"pages": 4})),
    ("F6", ({}, {"driver": "good"})),
    ("E2", ({}, {"driver": "good"})),
    ("E16", ({}, {"driver": "good"})),
    ("E17", ({}, {"driver": "good"})),
)
#: The operations on device memory that the notebook on notifiers has shown before it asks; a test compares.
SHOWN = (
    "munmap",
    "mremap_move",
    "fork",
    "mprotect_unpopulated",
    "mprotect_r",
    "oom_reaper",
    "zap_vma_ptes",
    "madvise_dontneed",
    "unmap_mapping_range",
)
#: Number of draws for a question of the preferred sort before any is taken.
TRIES = 40
#: A run that waits or breaks later than this is too long to read before an answer.
LONGEST = 60


def stale(chance: SeededChoices, seed: int) -> QuizQuestion:
    """Which entries of the importers' tables will be stale at the end? Asked before anything moves."""
    wanted = chance.below(3) > 0  # most people learn more from a question with something to find
    for _ in range(TRIES):
        name, knobs = chance.pick(MOVES)
        run = told(name, **chance.pick(knobs))
        seen = list(moments(run))
        at = _before_it_moves(run, seen)
        states = {entry.state for table in seen[-1].tables for entry in table.entries}
        if at and TAKEN_BACK not in states and (STALE in states) == wanted:
            break
    end = len(run)
    several = len(seen[-1].tables) > 1
    entries = [entry for table in seen[-1].tables for entry in table.entries]
    names = {f"{entry.importer}'s page {entry.page}" if several else f"page {entry.page}": entry for entry in entries}
    right = frozenset(name for name, entry in names.items() if entry.state == STALE)
    owners = " and ".join(dict.fromkeys(entry.importer for entry in entries))
    prompt = (
        f"Step {at}. {_ahead(run, at)} At the end, step {end}: which entries of {owners}'s table{'s' if several else ''} "
        "are stale?"
    )
    why = "\n".join(f"{name}: {_entry_words(entry)}" for name, entry in names.items())
    why += "\n\nStale: the address was taken back and leads elsewhere, or shows something else by now."
    places = {name: entry_key(entry.importer, entry.page) for name, entry in names.items()}
    on = OnStage(run, at, end, CELL, places)
    return QuizQuestion("stale", seed, _with_run(prompt, on), tuple(names), right, why, True, token_of(run), on)


def _before_it_moves(run: Run, seen: list[Moment]) -> int:
    """The last step before the first move, invalidation or stale entry at which some entry is right; 0 if there is none."""
    moved = {entry.step for entry in run.log if isinstance(entry.event, MoveBegun)}
    for moment in seen:
        states = {state for table in moment.tables for state in table.states()}
        if moment.invalidations or STALE in states or (moment.step in moved and RIGHT in states):
            before = seen[moment.step - 1]
            return before.step if any(RIGHT in table.states() for table in before.tables) else 0
    return 0


def _entry_words(entry: Any) -> str:
    if entry.address is None:
        return "no entry"
    leads = f"{entry.address:#x} reaches {entry.reaches or 'nothing'}, meant {entry.meant or 'nothing'}"
    return f"STALE since step {entry.since}: {leads}" if entry.state == STALE else f"{entry.state}: {leads}"


def _ahead(run: Run, at: int) -> str:
    """The actors' next actions; later ones may be part of the answer."""
    jobs = ((e.actor, e.event.job) for e in run.log if e.step >= at and isinstance(e.event, JobBegun))
    begun = next((f"{actor} does {job}" for actor, job in jobs), "what was begun goes on")
    return f"From here on {begun}."


def waits(chance: SeededChoices, seed: int) -> QuizQuestion:
    """Which actor will be the first that has to wait for another one?"""
    while True:
        run = told(chance.pick(("defrag-obedient", "wirings", *CASES)))
        if len(run) > 2 * LONGEST:
            continue
        seen = list(moments(run))
        found = next(((moment.step, who) for moment in seen if (who := _waiting(moment))), None)
        if found is not None and len(found[1]) == 1 and 3 < found[0] <= LONGEST:
            break
    to, (name,) = found
    at = max(1, to - 2 - chance.below(2))
    row = next(row for row in seen[to].now if row.name == name)
    actors = tuple(row.name for row in seen[to].now)
    prompt = f"Step {at}: nobody waits. Within the next {to - at} steps one actor has to wait for another one. Which?"
    inside = f", {row.inside}," if row.inside else ""
    why = f"At step {to} {name}{inside} waits {row.words}."
    if row.locks:
        why += f" Meanwhile it holds {', '.join(row.locks)}."
    on = OnStage(run, at, to, ACTOR, {actor: actor for actor in actors})
    token = token_of(Run(run.scenario, run.settings, run.schedule[:to]))
    return QuizQuestion("waits", seed, _with_run(prompt, on), actors, frozenset({name}), why, False, token, on)


def _waiting(moment: Moment) -> list[str]:
    return [row.name for row in moment.now if row.state == WAITS and row.waits_for]


def breaks(chance: SeededChoices, seed: int) -> QuizQuestion:
    """At which step does the promise break? The steps ahead are shown, and what they are; not which one breaks it."""
    case, run, first = _broken(chance)
    at = max(1, first.step - 4 - chance.below(5))
    last = min(len(run), first.step + 3 + chance.below(4))
    steps = {f"step {step}": str(step) for step in range(at + 1, last + 1)}
    told_rule = RULES[first.rule]
    prompt = f"Step {at}. {first.rule} promises: {told_rule.promise}. At which of the steps {at + 1} to {last} does it break?"
    on = OnStage(run, at, first.step, STEP, steps, ahead=True)
    right = frozenset({f"step {first.step}"})
    return QuizQuestion(
        "breaks", seed, _with_run(prompt, on), tuple(steps), right, _broken_words(case, first), False, token_of(run), on
    )


def rule(chance: SeededChoices, seed: int) -> QuizQuestion:
    """Which rule breaks first in this run, and in which actor's step?"""
    case, run, first = _broken(chance)
    actors = [name for name in run.world.actors if name != first.actor] or ["app"]
    found = board(run).findings
    rules = [
        name
        for name in dict.fromkeys((*(finding.rule for finding in found), *run.scenario.rules))
        if name != first.rule
    ]
    right = f"{first.rule}, in a step of {first.actor}"
    wrong = [f"{first.rule}, in a step of {chance.pick(actors)}", f"{chance.pick(rules)}, in a step of {first.actor}"]
    wrong.append(f"{chance.pick(rules)}, in a step of {chance.pick(actors)}")
    choices = chance.shuffled(dict.fromkeys([right, *wrong]))
    at = max(1, first.step - 2 - chance.below(3))
    on = OnStage(run, at, first.step, LIST, {}, ahead=True)
    prompt = _with_run("Which rule breaks first in this run, and in whose step?", on)
    why = _broken_words(case, first)
    return QuizQuestion("rule", seed, prompt, choices, frozenset({right}), why, False, token_of(run), on)


def _broken(chance: SeededChoices) -> tuple[Any, Run, Any]:
    """A case of the catalogue, its story, and the first finding of a promise in an actor's step."""
    while True:
        case = CASES[chance.pick(CASES)]
        run = story_run(case)
        found = board(run).findings
        if found and case.rule in RULES and RULES[found[0].rule].kind == "promise" and 2 < found[0].step <= LONGEST:
            return case, run, found[0]


def _broken_words(case: Any, first: Any) -> str:
    told_rule = RULES[first.rule]
    return (
        f"At step {first.step} {first.rule} breaks, by {first.culprit}: {first.what}.\n"
        f"Promised: {told_rule.promise} ({told_rule.source}, {told_rule.basis()}).\n"
        f"This is {case.code}: {case.scenario.about}"
    )


def events(chance: SeededChoices, seed: int) -> QuizQuestion:
    """Which event does this operation on device memory raise, over which pages, under which lock?"""
    asked = ask(chance.pick(SHOWN), "device")
    right = _heard(asked)
    others = dict.fromkeys(_heard(ask(name, "device")) for name in chance.shuffled(OPERATIONS))
    wrong = [text for text in (NOTHING, *others) if text != right]
    choices = chance.shuffled([right, *dict.fromkeys(wrong[:3])])
    prompt = (
        f"A process does this to 16 pages of its memory ({MEMORY['device']}): {asked.what} ({asked.operation}). "
        f"What does an importer hear that listens to all of it ({asked.kernel})?"
    )
    why = f"The call answers {asked.returned}. Written in {asked.source}.\nTry it: p2plab events {asked.operation}"
    return QuizQuestion("events", seed, prompt, choices, frozenset({right}), why)


def _heard(answer: Effect) -> str:
    rows = []
    for row in answer.rows:
        pages = "the whole address space" if row.start is None else f"pages {row.start} to {row.end}"
        rows.append(f"{row.event} over {pages}, {held_text(row.mmap_lock, row.locks)}")
    return ", then ".join(rows) or NOTHING


def reach(chance: SeededChoices, seed: int) -> QuizQuestion:
    """Can these two devices talk, in 2019 and today?"""
    wanted = chance.pick(((True, True), (False, True), (False, False), (True, True)))
    for _ in range(TRIES):
        machine = with_cpu(read_machine(chance.pick(recorded_machines())), chance.pick(CPUS))
        ends = [device.bdf for device in machine.devices if not device.is_bridge]
        provider = chance.pick(ends)
        client = chance.pick([bdf for bdf in ends if bdf != provider])
        old, new = (reach_verdict(machine, provider, client, kernel) for kernel in (RFC2019, TODAY))
        if (old.reachable, new.reachable) == wanted:
            break
    choices = tuple(f"2019 {a}, today {b}" for a in ("yes", "no") for b in ("yes", "no"))
    right = f"2019 {_word(old.reachable)}, today {_word(new.reachable)}"
    prompt = (
        f"Machine {machine.name} with a CPU of the kind {machine.cpu}: may the importer {client} use "
        f"memory of the exporter {provider} peer to peer, by the rules of January 2019 and by those of {TODAY.title}?"
    )
    why = "\n".join(["2019 (drivers/pci/p2pdma.c, v5.0):", *_list(old.reasons), f"{TODAY.title}:", *_list(new.reasons)])
    tree = tree_html(machine, provider, client)
    return QuizQuestion("reach", seed, prompt, choices, frozenset({right}), why, machine=tree)


def told(name: str, **knobs: Any) -> Run:
    """A scene's story with these knobs."""
    scene = CASES[name].scenario if name in CASES else find(name)
    return Run(scene, knobs).told()


def _with_run(prompt: str, on: OnStage) -> str:
    return "\n".join([prompt, "", *columns(on.asked)])


def _list(reasons: tuple[str, ...]) -> list[str]:
    return [
        line
        for reason in reasons
        for line in textwrap.wrap(reason, WIDTH, initial_indent="  - ", subsequent_indent="    ")
    ]


def _word(yes: bool) -> str:
    return "yes" if yes else "no"


KINDS: dict[str, Callable[[SeededChoices, int], QuizQuestion]] = {
    "stale": stale,
    "waits": waits,
    "breaks": breaks,
    "rule": rule,
    "events": events,
    "reach": reach,
}
