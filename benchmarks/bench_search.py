"""The search beside SPIN and rumur: one protocol as p2plab drivers, Promela and Murphi, from process start to verdict.

SPIN is taken twice, compiled with gcc -O2 and with tcc, which is the fair peer for short runs; rumur, which knows symmetry,
beside the search by symmetry. Sizes grow in importers, maps, moves and slots, and each row says who wins it. Then every
scene of the catalogue. Needs ``spin``, ``rumur``, ``gcc`` and ``tcc``; what is missing is left out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from handshake import NoStale, build, promela

SHORT = [(1, 1, 1), (2, 2, 2), (3, 3, 3), (3, 3, 6)]
FULL = [(2, 2, 2), (2, 3, 3), (3, 2, 1), (4, 1, 1), (3, 2, 2), (4, 1, 2), (3, 2, 3), (3, 3, 2), (3, 3, 3)]
GUARDED = [(2, 4), (3, 4), (4, 4)]
PROTOCOL = [(1, 4), (2, 4), (3, 4), (4, 4), (4, 6), (5, 4), (4, 8)]


def search(build: Callable[..., Any], rule: type, symmetry: bool = False) -> str:
    """One search in this process; the states, and the switches and steps of what it found."""
    from p2plab.search.watchdog import Watchdog

    with Watchdog() as dog:
        graph, found = by_symmetry(build, rule, dog) if symmetry else explored(build, rule, dog)
    if symmetry:
        return f"{len(graph)} orbits, {graph.full} states"
    return f"{len(graph)} " + (f"{found.switches} switches, {len(found.choices)} steps" if found else "holds")


def started(build: Callable[..., Any], rule: type, dog: Any) -> Any:
    """The graph of a search that has not begun."""
    from p2plab.search.graph import StateGraph
    from p2plab.search.model import Model
    from p2plab.search.monitors import Monitors
    from p2plab.search.recorder import Recorder
    from p2plab.search.world import maker

    return StateGraph(Model(Recorder(maker(build, {}), dog), Monitors([rule])))


def by_symmetry(build: Callable[..., Any], rule: type, dog: Any) -> tuple[Any, Any]:
    """The graph of orbits, all of them."""
    from p2plab.search.symmetry.graph import SymmetricSearch
    from p2plab.search.symmetry.members import interchangeable

    model = started(build, rule, dog).model
    orbits = SymmetricSearch(model, *next(interchangeable(model)))
    while not orbits.done:
        orbits.advance(10, 10**8)
    return orbits.graph, None


def explored(build: Callable[..., Any], rule: type, dog: Any) -> tuple[Any, Any]:
    """The graph that a search ends with, and the story that it found."""
    from p2plab.search.layers import Layers
    from p2plab.search.search import SMALL

    layers = Layers(started(build, rule, dog))
    layers.advance(600, states=SMALL)
    if layers.done:
        return layers.graph, layers.found
    from p2plab.search.arrays.search import ArraySearch

    wide = ArraySearch(layers.graph.model, None)
    while not wide.done:
        wide.advance(10, 10**8)
    return wide.graph, wide.found


def net_apart(build: Callable[..., Any], rule: type) -> str:
    """Seconds of computing: of a search without the second net, and of the net with the paths that are replayed beside it."""
    from p2plab.search.net import BESIDE_THE_NET, SecondNet, audit
    from p2plab.search.watchdog import Watchdog

    with Watchdog() as dog:
        began = time.process_time()
        graph, _ = explored(build, rule, dog)
        without = time.process_time() - began
        audit(graph, BESIDE_THE_NET)
        net = SecondNet(graph, without)
        while not net.advance(10.0):
            pass
        more = time.process_time() - began - without
    again = f"{net.result.again:,} of {net.result.steps:,} steps run again"
    return f"{len(graph):>9,} states  without {without:6.2f} s  the net {more:5.2f} s ({more / without:4.0%})  {again}"


def timed(command: list[str], cwd: str) -> tuple[float, float, str]:
    """Seconds, peak MB and output of a command."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, cwd=cwd, stdout=out, stderr=subprocess.STDOUT)
        _, _, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        out.seek(0)
        return seconds, usage.ru_maxrss / 1024, out.read().decode(errors="replace")


def spin(compiler: list[str], model: str, breadth: bool) -> tuple[float, float, str]:
    """Seconds from generating to the verdict, peak MB of the run, and its states."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "p.pml").write_text(model)
        flags = ["-DSAFETY", *(["-DBFS"] if breadth else []), "-w", "-o", "pan", "pan.c"]
        steps = (["spin", "-a", "p.pml"], [*compiler, *flags], ["./pan", "-m1000000"])
        runs = [timed(step, folder) for step in steps]
        out = runs[-1][2]
        states = next((line.split()[0] for line in out.splitlines() if "states, stored" in line), "?")
        return sum(run[0] for run in runs), runs[-1][1], states + ("" if "errors: 0" in out else " (breaks)")


def rumur(model: str) -> tuple[float, float, str]:
    """The same for rumur, with its symmetry reduction; one thread, as all others here."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "p.m").write_text(model)
        make = ["gcc", "-O2", "-std=c11", "-march=native", "-mcx16", "-o", "p", "p.c", "-lpthread"]
        steps = (["rumur", "--threads", "1", "p.m", "-o", "p.c"], make, ["./p"])
        runs = [timed(step, folder) for step in steps]
        states = next((line.split()[0] for line in runs[-1][2].splitlines() if " states, " in line), "?")
        return sum(run[0] for run in runs), runs[-1][1], states


Column = tuple[str, Callable[[], tuple[float, float, str]]]


def row(name: str, columns: list[Column]) -> None:
    """Run each and print them side by side, the fastest with a star."""
    results = [(which, *run()) for which, run in columns]
    best = min(seconds for _, seconds, _, _ in results)
    cells = [
        f"{which} {seconds:.2f} s{'*' if seconds == best else ' '} {memory:.0f} MB, {told}"
        for which, seconds, memory, told in results
    ]
    print(f"{name:<22}" + " | ".join(f"{cell:<46}" for cell in cells).rstrip(), flush=True)


def p2plab(*words: object) -> Column:
    """This search in a process of its own."""
    command = [sys.executable, __file__, *map(str, words)]

    def run() -> tuple[float, float, str]:
        seconds, memory, out = timed(command, ".")
        return seconds, memory, out.strip()

    return "p2plab", run


def spins(model: str, breadth: bool) -> list[Column]:
    """SPIN with each compiler that is there."""
    there = [compiler for compiler in (["gcc", "-O2"], ["tcc"]) if shutil.which("spin") and shutil.which(compiler[0])]
    return [(f"SPIN {compiler[0]}", lambda c=compiler: spin(c, model, breadth)) for compiler in there]  # type: ignore[misc]


def beside_spin(sizes: list[tuple[int, int, int]], variants: list[str], breadth: bool) -> None:
    """One row a size and variant."""
    for size in sizes:
        for variant in variants:
            columns = [p2plab("--one", *size, variant), *spins(promela(*size, variant), breadth)]
            row(f"{' '.join(map(str, size))} {variant}", columns)


def guarded() -> None:
    """Guarded commands, each an actor of its own: every state, beside SPIN as long as that takes seconds."""
    from protocol_peers import promela as in_promela

    for size in GUARDED:
        row(" ".join(map(str, size)), [p2plab("--guarded", *size), *spins(in_promela(*size), breadth=False)])


def beside_rumur() -> None:
    """The same by symmetry, and beside both peers as long as these have them all."""
    from protocol_peers import murphi
    from protocol_peers import promela as in_promela

    for size in PROTOCOL:
        columns = [p2plab("--orbits", *size)]
        if shutil.which("rumur"):
            columns.append(("rumur", lambda s=size: rumur(murphi(*s))))  # type: ignore[misc]
        if size[0] < 4:
            columns += spins(in_promela(*size), breadth=False)
        row(" ".join(map(str, size)), columns)


def catalogue() -> None:
    """Every scene, with the rule that it is about: the smallest story; and its good twin, every order of it."""
    from p2plab.everything import SCENES
    from p2plab.search import Pass, Violation, check

    for name, scene in SCENES.items():
        began = time.perf_counter()
        answer = check(scene, rules=[scene.breaks] if scene.breaks else None, budget=30)
        seconds = time.perf_counter() - began
        what = "NOT DECIDED"
        if isinstance(answer, Violation):
            what = f"breaks {answer.rule}: {answer.switches} switches, {answer.steps} steps"
        elif isinstance(answer, Pass):
            what = f"holds in {answer.orders:,} orders" if answer.orders else "holds"
        twin = ""
        if "driver" in {knob.name for knob in scene.knobs}:
            good = check(scene, knobs={"driver": "good"}, budget=30)
            twin = "holds" if isinstance(good, Pass) and good.complete else f"{type(good).__name__} "
            twin += getattr(good, "rule", "")
            twin += f" ({good.effort.states} states)"
        print(f"{name:<28}{answer.effort.states:>7} states {seconds:6.2f} s  {what:<58} twin: {twin}", flush=True)


def main() -> None:
    """All of it: about six minutes."""
    print(
        "importers maps moves: shortest counterexample, process start included (SPIN: breadth first, so that it is, too)"
    )
    beside_spin(SHORT, ["ignores", "no-retry"], breadth=True)
    print("\nimporters maps moves: every order (SPIN: depth first, with its partial-order reduction, its faster way)")
    beside_spin(FULL, ["right"], breadth=False)
    print("\nimporters maps moves: every order, seconds of computing without the second net, and what it costs")
    for size in FULL:
        print(f"{' '.join(map(str, size)):<22}{p2plab('--net', *size)[1]()[2]}", flush=True)
    print("\nimporters slots: every state of guarded commands, an actor each, without symmetry")
    guarded()
    print("\nimporters slots: every state of guarded commands (rumur and p2plab: by symmetry)")
    beside_rumur()
    print("\nthe catalogue")
    catalogue()


if __name__ == "__main__":
    which, words = sys.argv[1:2], sys.argv[2:]
    if which == ["--one"]:
        print(search(build(*map(int, words[:3]), words[3]), NoStale))
    elif which == ["--net"]:
        print(net_apart(build(*map(int, words[:3])), NoStale))
    elif which:
        import protocol

        print(search(protocol.build(*map(int, words)), protocol.NoStale, symmetry=which == ["--orbits"]))
    else:
        main()
