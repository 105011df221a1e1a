"""What a real kernel did with the scene of a run: the chip *Linux 6.12* of the stage, and the words behind it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from p2plab.catalog import CASES
from p2plab.catalog.played import KERNEL, PLAYED, Play
from p2plab.core.run import Run

#: What the words of a play mean.
ORDERS = {
    "total": "every event in the same order as in the story",
    "per actor": "each actor's events in the same order; tasks that do not wait for each other came in another one",
    "the record's": "another order than the story's; the model does the same in the record's order",
}
DAMAGE = {"agrees": "the same beats went astray, to the same pages", "differs": "other beats went astray"}
#: A silent kernel proves nothing.
SILENT = "That a checker is silent is no proof of anything."


def linux_json(run: Run) -> dict[str, Any] | None:
    """``chip`` (its words), ``tone`` and ``lines`` ``[name, words]``; None for a scene that is not in the catalogue.

    A run with your own driver, or with other knobs than the play, has a chip that says so.
    """
    scene = run.scenario
    code = next((code for code, case in CASES.items() if case.scenario.name == scene.name), "")
    if code not in PLAYED:
        return None
    played, driver = PLAYED[code], str(run.settings.get("driver", ""))
    plays = {"broken": played.broken, "good": played.good}
    version = ".".join(KERNEL.split(".")[:2])
    others = [
        f"{knob.name}={run.settings[knob.name]}"
        for knob in scene.knobs
        if knob.name not in ("driver", "play") and run.settings[knob.name] != knob.default
    ]
    own = [made.__name__ for made in scene.cast.values()]
    lines = [["kernel", f"Linux {KERNEL} with the two callbacks added to vm_operations_struct"]]
    play = plays.get(driver)
    if own or others:
        chip, tone = f"Linux {version}: not played so", "idle"
        lines.append(
            ["this run", f"has {', '.join([*own, *others])}, and was not played; the scene's own drivers were:"]
        )
    elif play is None:
        chip, tone = f"Linux {version}: not played", "idle"
    else:
        chip, tone = f"Linux {version}: {_short(play)}", "complains" if play.says else "silent"
    for name, one in plays.items():
        if one is not None:
            lines += [[f"{name} driver", line] for line in _words(one)]
    if played.why:
        lines.append(["not played", f"{played.why}."])
    return {"chip": chip, "tone": tone, "lines": lines, "source": "docs/real-kernel.md; p2plab conform scenes"}


def _short(play: Play) -> str:
    if not play.says:
        return "silent"
    first = play.says[0].partition(" (")[0]
    return first if len(play.says) == 1 else f"{first}, {len(play.says) - 1} more"


def _words(play: Play) -> Iterator[str]:
    yield f"the kernel said: {'; '.join(play.says)}." if play.says else f"the kernel said nothing. {SILENT}"
    yield f"order: {ORDERS.get(play.order, f'not compared, {play.order}')}."
    yield f"damage: {DAMAGE.get(play.damage, play.damage)}."
