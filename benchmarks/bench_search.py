"""The search beside SPIN: one handshake as p2plab drivers and as Promela, each from process start to verdict.

SPIN is taken twice, compiled with gcc -O2 and with tcc, which is the fair peer for short runs. Then every scene of the
catalogue. Needs ``spin``, ``gcc`` and ``tcc`` for the peers; what is missing is left out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from handshake import NoStale, build, promela

SHORT = [(1, 1, 1), (2, 2, 2), (3, 3, 3)]
FULL = [(2, 2, 2), (2, 3, 3), (3, 2, 1), (3, 2, 2)]


def search(importers: int, maps: int, moves: int, variant: str) -> str:
    """One search in this process; the states, and the switches and steps of what it found."""
    from p2plab.check.folds import Folds
    from p2plab.check.graph import StateGraph
    from p2plab.check.layers import Layers
    from p2plab.check.quiet import maker
    from p2plab.check.recorder import Recorder
    from p2plab.check.search import SMALL
    from p2plab.check.watchdog import Watchdog

    with Watchdog() as dog:
        graph = StateGraph(Recorder(maker(build(importers, maps, moves, variant), {}), dog), Folds([NoStale]))
        layers = Layers(graph)
        layers.advance(600, states=SMALL)
        if layers.done:
            found, states = layers.found[0] if layers.found else None, len(graph)
        else:
            from p2plab.check.widesearch import WideSearch

            wide = WideSearch(graph, None)
            while not wide.done:
                wide.advance(10, 10**8)
            found, states = wide.found, len(wide.graph)
    return f"{states} " + (f"{found[0]} switches, {len(found[2])} steps" if found else "holds")


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


def beside_spin(sizes: list[tuple[int, int, int]], variants: list[str], breadth: bool) -> None:
    """One row a size and variant."""
    print(f"{'importers maps moves':<32}{'p2plab':>30}{'SPIN gcc -O2':>30}{'SPIN tcc':>30}")
    for size in sizes:
        for variant in variants:
            mine = [sys.executable, __file__, "--one", *map(str, size), variant]
            row = f"{' '.join(map(str, size))} {variant:<24}".ljust(32)
            seconds, memory, out = timed(mine, ".")
            row += f"{seconds:.3f} s {memory:.0f} MB {out.strip()}".rjust(42)
            for compiler in (["gcc", "-O2"], ["tcc"]):
                if shutil.which("spin") and shutil.which(compiler[0]):
                    seconds, memory, states = spin(compiler, promela(*size, variant), breadth)
                    row += f"{seconds:.3f} s {memory:.0f} MB {states}".rjust(30)
            print(row, flush=True)


def every_choice() -> None:
    """A model of guarded commands, each an actor of its own: many actors, hardly any code. The worst case here."""
    from protocol import NoStale as NoStaleThere
    from protocol import build as build_there

    from p2plab.check.folds import Folds
    from p2plab.check.graph import StateGraph
    from p2plab.check.layers import Layers
    from p2plab.check.quiet import maker
    from p2plab.check.recorder import Recorder
    from p2plab.check.watchdog import Watchdog

    for importers, expected in ((1, 1_989), (2, 25_893)):
        began = time.perf_counter()
        with Watchdog() as dog:
            graph = StateGraph(Recorder(maker(build_there(importers, 4), {}), dog), Folds([NoStaleThere]))
            Layers(graph).advance(600)
        seconds = time.perf_counter() - began
        same = "as SPIN, TLC and rumur count" if len(graph) == expected else f"BUT {expected} IS RIGHT"
        print(f"{importers} importers, {len(graph.actors)} actors: {len(graph)} states, {same}; {seconds:.2f} s")


def catalogue() -> None:
    """Every scene, with the rule that it is about: the smallest story; and its good twin, every order of it."""
    from p2plab.catalog import SCENES
    from p2plab.check import Pass, Violation, check

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
    """All of it: about two minutes."""
    print("shortest counterexample, process start included (SPIN: breadth first, so that it is the shortest too)")
    beside_spin(SHORT, ["ignores", "no-retry"], breadth=True)
    print("\nevery order (SPIN: depth first, with its partial-order reduction, its faster way)")
    beside_spin(FULL, ["right"], breadth=False)
    print("\nguarded commands")
    every_choice()
    print("\nthe catalogue")
    catalogue()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one, two, three = map(int, sys.argv[2:5])
        print(search(one, two, three, sys.argv[5]))
    else:
        main()
