"""The kinds of questions: each makes one from chance, and asks the model for the answer."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

from p2plab.catalog import CASES
from p2plab.catalog.verdict import board, story_run
from p2plab.core.places import recorded_machines
from p2plab.core.run import Run
from p2plab.core.schedule import by_seed, by_text
from p2plab.core.token import token_of
from p2plab.course.predict import WIDTH, QuizQuestion, SeededChoices
from p2plab.everything import find
from p2plab.mm.ask import Effect, ask
from p2plab.mm.ask_operations import OPERATIONS
from p2plab.mm.ask_specimen import KINDS as MEMORY
from p2plab.mm.log import held_text
from p2plab.p2p.things import things_of
from p2plab.pci import RFC2019, TODAY, reach_verdict, read_machine, with_cpu
from p2plab.pci.whitelist import CPUS
from p2plab.rules import RULES
from p2plab.views.follow import Way, follow_page
from p2plab.views.text import columns

NOTHING = "nothing: nobody is told"
#: Runs of these are long enough to look at, and differ in who obeys.
SCENES = ("defrag-ignorant", "f12-partial-range")
#: How often a kind looks for a question of the sort it wants, before it takes what there is.
TRIES = 40


def stale(chance: SeededChoices, seed: int) -> QuizQuestion:
    """After step n, which pages does the NIC's device look up at an address that no longer shows them?"""
    wanted = chance.below(3) > 0  # most people learn more from a question that has something to find
    for _ in range(TRIES):
        scene = find(chance.pick(SCENES if wanted else ("defrag-obedient", *SCENES)))
        run = Run(scene).driven(by_text("app nic", strict=False)).driven(by_seed(chance.below(10**6)), 200)
        step = len(run) - chance.below(len(run) // 2)
        if any(_stale(way) for way in _ways(run, step)) == wanted and things_of(run.at(step)).importers[0].engine.table:
            break
    ways = _ways(run, step)
    right = frozenset(f"page {way.page}" for way in ways if _stale(way))
    shown = Run(run.scenario, run.settings, run.schedule[:step])
    prompt = (
        f"After step {step} of this run of {run.scenario.name}: which pages of A does the NIC's device look up at a "
        "stale address?"
    )
    why = "\n".join(
        [*(str(way) for way in ways), "", "Stale: the address was taken back, or shows something else by now."]
    )
    choices = tuple(f"page {way.page}" for way in ways)
    return QuizQuestion("stale", seed, _with_run(prompt, shown), choices, right, why, True, token_of(shown))


def _stale(way: Way) -> bool:
    return any(not use.fresh for use in way.uses)


def _ways(run: Run, step: int) -> list[Way]:
    return [follow_page(run, step, page) for page in range(things_of(run.at(step)).width)]


def events(chance: SeededChoices, seed: int) -> QuizQuestion:
    """Which event does this operation raise, over which pages, under which lock?"""
    kind = chance.pick(("device", "device_eager", "anon", "file_shared"))
    asked = ask(chance.pick(OPERATIONS), kind)
    right = _heard(asked)
    others = dict.fromkeys(_heard(ask(name, kind)) for name in chance.shuffled(OPERATIONS))
    wrong = [text for text in (NOTHING, *others) if text != right]
    choices = chance.shuffled([right, *dict.fromkeys(wrong[:3])])
    prompt = (
        f"A process does this to 16 pages of its memory ({MEMORY[kind]}): {asked.what} ({asked.operation}). "
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
        f"Machine {machine.name} with a CPU of the kind {machine.cpu}: may {client} use memory of {provider} peer to peer, "
        f"by the rules of January 2019 and by those of {TODAY.title}?"
    )
    why = "\n".join(["2019 (drivers/pci/p2pdma.c, v5.0):", *_list(old.reasons), f"{TODAY.title}:", *_list(new.reasons)])
    return QuizQuestion("reach", seed, prompt, choices, frozenset({right}), why)


def rule(chance: SeededChoices, seed: int) -> QuizQuestion:
    """Which rule breaks first in this run, and by whose step?"""
    while True:
        case = CASES[chance.pick(CASES)]
        run = story_run(case)
        found = board(run).findings
        if found and case.rule in RULES and RULES[case.rule].kind == "promise":
            break
    first = found[0]
    actors = [name for name in run.world.actors if name != first.actor] or ["app"]
    rules = [
        name
        for name in dict.fromkeys((*(finding.rule for finding in found), *run.scenario.rules))
        if name != first.rule
    ]
    right = f"{first.rule}, in a step of {first.actor}"
    wrong = [f"{first.rule}, in a step of {chance.pick(actors)}", f"{chance.pick(rules)}, in a step of {first.actor}"]
    wrong.append(f"{chance.pick(rules)}, in a step of {chance.pick(actors)}")
    told = RULES[first.rule]
    why = (
        f"At step {first.step} {first.rule} breaks, by {first.culprit}: {first.what}.\n"
        f"Promised: {told.promise} ({told.source}, {told.basis()}).\n"
        f"This is {case.code}: {case.scenario.about}"
    )
    choices = chance.shuffled(dict.fromkeys([right, *wrong]))
    prompt = _with_run("Which rule breaks first in this run, and in whose step?", run)
    return QuizQuestion("rule", seed, prompt, choices, frozenset({right}), why, token=token_of(run))


def _with_run(prompt: str, run: Run) -> str:
    return "\n".join([prompt, "", *columns(run)])


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
    "events": events,
    "reach": reach,
    "rule": rule,
}
