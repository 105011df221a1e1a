"""Which scenes were played on a real kernel, with the results: Linux 6.12.117 with two callbacks added.

The plays are those of :mod:`p2plab.conform.scenes`; ``docs/real-kernel.md`` says how they were made and how far to trust
them. What the kernel said are its own complaints; an empty tuple means that there were none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from p2plab.core.scenario import Scenario

#: The kernel of the plays, and its short name.
KERNEL = "6.12.117"
SHORT = "Linux 6.12"


@dataclass(frozen=True)
class Play:
    """One play of a scene. ``order``: how its events agree with the story's.

    ``total``, ``per actor``, or ``the record's`` (the model does the same if its steps come in the record's order). A
    play that cannot be compared in order says why: ``another harness``, ``another play``; ``not compared`` is one whose
    record is not here. ``damage``: whether the same
    beats went astray, to the same pages. ``says``: the kernel's complaints.
    """

    order: str
    damage: str
    says: tuple[str, ...] = ()

    def __str__(self) -> str:
        said = "; ".join(self.says) or "silent"
        return f"order {self.order}, damage {self.damage}; the kernel: {said}"


@dataclass(frozen=True)
class Played:
    """Both plays of a scene; None for one that was not played, and then ``why``."""

    broken: Play | None
    good: Play | None
    why: str = ""

    def __str__(self) -> str:
        plays = [f"{name}: {play}" for name, play in (("broken", self.broken), ("good", self.good)) if play is not None]
        told = ". ".join(plays) or "not played"
        return f"on Linux {KERNEL}: {told}{f' ({self.why})' if self.why else ''}"

    def as_json(self) -> dict[str, Any]:
        """``played``, ``order``, ``damage`` and ``complaints``, by ``broken`` and ``good``; ``why`` one was not played."""
        plays = {name: play for name, play in (("broken", self.broken), ("good", self.good)) if play is not None}
        return {
            "kernel": KERNEL,
            "played": list(plays),
            "order": {name: play.order for name, play in plays.items()},
            "damage": {name: play.damage for name, play in plays.items()},
            "complaints": {name: list(play.says) for name, play in plays.items()},
            "why_not": self.why or None,
        }


def linux(scene: Scenario) -> Played | None:
    """The results of a scene's plays; None for one that is no case of the catalogue, or has other classes in its roles."""
    from p2plab.catalog import CASES  # it collects this module too

    code = next((code for code, case in CASES.items() if case.scenario.name == scene.name), None)
    return PLAYED.get(code) if code is not None and not scene.cast else None


def play_of(scene: Scenario, settings: Mapping[str, Any]) -> Play | None:
    """The play of a scene with these settings; None if it was played with different ones, or not at all."""
    played = linux(scene)
    others = {knob.name: knob.default for knob in scene.knobs if knob.name != "driver"}
    if played is None or any(settings.get(name, value) != value for name, value in others.items()):
        return None
    return played.good if settings.get("driver") == "good" else played.broken


def of_rule(rule: str) -> str:
    """What the kernel's checkers notice of a rule's breaks, over the scenes named for it; empty if none was played."""
    from p2plab.catalog import CASES  # it collects this module too

    plays = {code: play for code, played in PLAYED.items() if CASES[code].rule == rule and (play := played.broken)}
    if not plays:
        return ""
    told, scenes = ", ".join(code for code, play in plays.items() if play.says), ", ".join(plays)
    if told == scenes:
        return f"{SHORT}: it complained in {told}"
    return f"{SHORT}: played in {scenes}; it {f'complained in {told}' if told else 'was silent'}"


def summary(codes: Iterable[str]) -> str:
    """Of these scenes, the number of broken ones that were played, and of those without a complaint by the kernel."""
    plays = [PLAYED[code].broken for code in codes if code in PLAYED]
    broken = [play for play in plays if play is not None]
    silent = sum(not play.says for play in broken)
    return f"Linux {KERNEL}: {len(broken)} broken ones were played, and it said nothing in {silent}"


#: By the scene's code; every case of the catalogue has an entry.
PLAYED: Mapping[str, Played] = {
    "F1": Played(Play("total", "agrees", ("DMA-API leak (at the end)",)), Play("per actor", "agrees")),
    "F2": Played(Play("per actor", "agrees"), Play("total", "agrees")),
    "F3": Played(
        Play("total", "agrees", ("lockdep recursive locking (mmap_lock under mmap_lock)", "hung task app")),
        Play("total", "agrees"),
    ),
    "F4": Played(Play("total", "agrees", ("hung task nic", "hung task gpu")), Play("total", "agrees")),
    "F5": Played(Play("per actor", "agrees", ("sleeps in invalid context",)), Play("per actor", "agrees")),
    "F6": Played(
        Play("total", "agrees", ("callback failed", "WARN mmu_notifier.c:487", "WARN mmu_notifier.c:495")),
        Play("per actor", "agrees"),
    ),
    "F7": Played(Play("total", "agrees", ("callback failed", "WARN mmu_notifier.c:495")), Play("total", "agrees")),
    "F8": Played(Play("total", "agrees", ("DMA-API leak (at the end)",)), Play("total", "agrees")),
    "F9": Played(Play("total", "agrees"), Play("total", "agrees")),
    "F10": Played(Play("total", "agrees"), Play("total", "agrees")),
    "F11": Played(Play("total", "agrees"), Play("total", "agrees")),
    "F12": Played(Play("per actor", "agrees"), Play("total", "agrees")),
    "F13": Played(Play("total", "agrees", ("DMA-API leak (at the end)",)), Play("total", "agrees")),
    "F14": Played(Play("the record's", "agrees", ("oops",)), Play("total", "agrees")),
    "F15": Played(Play("total", "agrees", ("DMA-API leak (at the end)",)), Play("total", "agrees")),
    "F16": Played(Play("per actor", "agrees"), Play("per actor", "agrees")),
    "F17": Played(Play("total", "agrees"), Play("total", "agrees")),
    "F18": Played(Play("total", "agrees"), Play("total", "agrees", ("DMA-API overlap (EEXIST)",))),
    "F19": Played(Play("total", "agrees", ("hung task gpu",)), Play("per actor", "agrees")),
    "F20": Played(Play("total", "agrees", ("oops (at the end)",)), Play("total", "agrees")),
    "F21": Played(Play("total", "agrees"), Play("per actor", "agrees")),
    "F22": Played(Play("total", "agrees"), Play("per actor", "agrees")),
    "F23": Played(
        Play(
            "total",
            "agrees",
            (
                "lockdep circular locking dependency (mmu_notifier_invalidate_range_start under n->lock)",
                "hung task nic",
                "hung task app",
            ),
        ),
        Play("total", "agrees"),
    ),
    "E1": Played(Play("per actor", "agrees"), Play("per actor", "agrees")),
    "E2": Played(
        Play("per actor", "agrees", ("DMA-API overlap (EEXIST)",)),
        Play("per actor", "agrees", ("DMA-API overlap (EEXIST)",)),
    ),
    "E3": Played(Play("per actor", "agrees"), Play("per actor", "agrees")),
    "E4": Played(Play("total", "agrees"), Play("total", "agrees")),
    "E5": Played(Play("total", "agrees"), Play("total", "agrees")),
    "E6": Played(Play("total", "agrees"), Play("per actor", "agrees")),
    "E7": Played(
        Play("total", "agrees", ("lockdep recursive locking (gpu_bar under gpu_bar)", "hung task gpu")),
        Play("per actor", "agrees"),
    ),
    "E8": Played(Play("total", "agrees", ("DMA-API leak (at the end)",)), Play("total", "agrees")),
    "E9": Played(Play("total", "agrees"), Play("per actor", "agrees")),
    "E10": Played(Play("total", "differs"), Play("total", "agrees")),
    "E11": Played(Play("total", "agrees"), Play("total", "agrees")),
    "E12": Played(Play("total", "agrees"), Play("total", "agrees")),
    "E13": Played(Play("another play", "agrees"), Play("per actor", "agrees")),
    "E14": Played(Play("total", "agrees"), Play("total", "agrees")),
    "E15": Played(Play("total", "agrees"), Play("total", "agrees")),
    "E16": Played(Play("total", "agrees"), Play("total", "agrees")),
    "E17": Played(Play("total", "agrees"), Play("total", "agrees")),
    "E18": Played(Play("total", "agrees"), Play("total", "agrees")),
    "C2": Played(Play("another harness", "agrees"), Play("another harness", "agrees")),
    "C3": Played(None, Play("per actor", "agrees"), "the broken one is artificial by its own word"),
    "C6": Played(Play("total", "agrees"), Play("total", "agrees")),
    "C7": Played(Play("total", "agrees"), Play("total", "agrees")),
    "X1": Played(Play("total", "agrees"), None, "the good one was not played"),
    "X2": Played(
        Play(
            "not compared",
            "agrees",
            (
                "lockdep recursive locking (mmu_notifier_invalidate_range_start under "
                "mmu_notifier_invalidate_range_start)",
            ),
        ),
        None,
        "the good one was not played",
    ),
    "X3": Played(Play("total", "agrees", ("hung task nic", "hung task gpu")), Play("the record's", "agrees")),
    **{code: Played(None, None, "the recording drivers have no fences") for code in ("L1", "L2")},
    "L3": Played(None, None, "the recording drivers have no reservation locks"),
    "H1": Played(None, None, "QEMU's ivshmem cannot be pulled out without its driver"),
    "H2": Played(None, None, "QEMU delivers writes in order"),
    "H3": Played(None, None, "QEMU's edu has no ATS"),
    "H4": Played(None, None, "the kernel was played in strict mode"),
    "C1": Played(None, None, "no kernel has these loops"),
    "C4": Played(None, None, "QEMU's switches have no ACS and would not reroute"),
    "C5": Played(None, None, "QEMU 7.2 has no device with a Resizable BAR"),
}
