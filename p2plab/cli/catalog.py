"""``p2plab catalog``: every scene against every rule, and every good twin too."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

from p2plab.catalog.played import KERNEL, PLAYED, summary
from p2plab.catalog.verdict import CaseVerdict, verdicts
from p2plab.cli.frame import number, print_json
from p2plab.cli.progress import ProgressLine
from p2plab.core.errors import BadInput
from p2plab.core.names import unknown as no_such
from p2plab.everything import CASES
from p2plab.rules import PRICES, PROMISES, RULES

#: The rules of every table: a case breaks a promise of the contract, or costs too much. Some cases are about other rules.
_RULES = (*PROMISES, *PRICES)
#: Columns of the table, and how many of them come after the rules.
WIDTH, AFTER = 72, 10

SEEDS, MOST_SEEDS = 20, 100_000


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    command = commands.add_parser("catalog", help="run every scene and every good twin: who is caught, who is accused")
    command.add_argument("scene", nargs="*", help="codes such as F1 or E7; without any, all")
    command.add_argument(
        "--seeds", type=number, default=SEEDS, metavar="N", help=f"orders for each twin (default {SEEDS})"
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit 0 only where every scene is caught by the rule named for it and no twin is accused."""
    if not 0 <= arguments.seeds <= MOST_SEEDS:
        raise BadInput(f"--seeds {arguments.seeds}: allowed are 0 to {MOST_SEEDS}")
    unknown = [code for code in arguments.scene if code.upper() not in CASES]
    if unknown:
        raise BadInput(no_such("case", unknown[0], list(CASES), "`p2plab scenes`"))
    chosen = [CASES[code.upper()] for code in arguments.scene] or list(CASES.values())
    begun = time.perf_counter()
    found = []
    interrupted = False
    progress = ProgressLine()
    try:
        for result in verdicts(chosen, arguments.seeds):
            found.append(result)
            progress.count(len(found), len(chosen), result.case.code)
    except KeyboardInterrupt:
        interrupted = True
    progress.end()
    seconds = time.perf_counter() - begun
    if arguments.json:
        print_json("catalog", {**as_json(found, arguments.seeds, seconds), "not_run": len(chosen) - len(found)})
    else:
        print("\n".join(table(found, arguments.seeds, seconds)))
        if len(found) < len(chosen):
            print(f"of {len(chosen)} scenes, {len(chosen) - len(found)} were not run")
    if interrupted:
        raise KeyboardInterrupt
    return 0 if all(result.sound for result in found) else 1


def as_json(found: list[CaseVerdict], seeds: int, seconds: float) -> dict[str, object]:
    """The whole table as plain values."""
    return {
        "scenes": [result.as_json() for result in found],
        "caught": sum(result.caught for result in found),
        "twins_accused": sum(bool(result.accused) for result in found),
        "seeds": seeds,
        "rules": {
            name: RULES[name].promise for name in dict.fromkeys((*_RULES, *(result.case.rule for result in found)))
        },
        "seconds": round(seconds, 2),
    }


def table(found: list[CaseVerdict], seeds: int, seconds: float) -> Iterator[str]:
    """The mutation table in at most 72 columns: one letter for each rule, then a key."""
    rules = tuple(dict.fromkeys((*_RULES, *(result.case.rule for result in found))))
    letters = {name: _letter(number) for number, name in enumerate(rules)}
    head = "".join(letters.values())
    left = WIDTH - AFTER - len(rules)
    yield f"{'':{left}}{head} twin 6.12"
    for result in found:
        marks = "".join(_mark(result, name) for name in rules)
        twin = ("accused" if result.accused else "idle") if result.accused or result.unmet else "ok"
        yield f"{result.case.scenario.name[: left - 1]:<{left}}{marks} {twin:<4} {_linux(result)}"
    yield ""
    yield "# broken, and the rule named for the scene   + broken as well   . kept"
    yield f"6.12: what Linux {KERNEL} said of the broken one"
    yield "      ! something   . nothing   - it was not played"
    used = [name for name in rules if any(name in result.fired or name == result.case.rule for result in found)]
    yield from (f"{letters[name]} {name}" for name in used)
    yield ""
    yield from _exceptions(found)
    caught, accused = sum(r.caught for r in found), sum(bool(r.accused) for r in found)
    yield f"{caught} of {len(found)} caught by the rule named for them; {accused} good twins accused"
    yield summary(result.case.code for result in found)
    yield f"each twin in its story and {seeds} random orders; {seconds:.1f} s on this machine"


def _exceptions(found: list[CaseVerdict]) -> Iterator[str]:
    for result in found:
        if result.case.unmodelled:
            yield f"{result.case.code} is not modelled: {result.case.unmodelled}"
        elif not result.caught:
            yield f"{result.case.code} MISSED: {result.case.rule} did not fire"
        for rule, seed in result.accused.items():
            where = "its story" if seed < 0 else f"seed {seed}"
            yield f"{result.case.code}: the good twin is accused by {rule} in {where}"
        if result.unmet:
            yield f"{result.case.code}: the good twin never reached {', '.join(result.unmet)}"


def _linux(result: CaseVerdict) -> str:
    played = PLAYED.get(result.case.code)
    if played is None or played.broken is None:
        return "-"
    return "!" if played.broken.says else "."


def _letter(number: int) -> str:
    return chr(ord("a") + number) if number < 26 else chr(ord("A") + number - 26)


def _mark(result: CaseVerdict, rule: str) -> str:
    if rule in result.fired:
        return "#" if rule == result.case.rule else "+"
    return "?" if rule == result.case.rule else "."
