"""Why there was no room, and what a resize changed, as text and as plain values."""

from __future__ import annotations

import textwrap
from typing import Any

from p2plab.pci import Machine
from p2plab.pci.room import Diagnosis, Level, explain
from p2plab.views.pci_map import human_size
from p2plab.views.pci_text import WIDTH

#: Maximum number of ranges in the way that are listed.
IN_THE_WAY_MOST = 8


def room_text(machine: Machine) -> list[str]:
    """Each request that found no room, from the nearest window up, and what would help; empty if all found room."""
    answers = explain(machine)
    if not answers:
        return []
    lines = ["no room"]
    for answer in answers:
        lines += [part for text in _answer(answer) for part in _wrap(text)]
    return lines


def _answer(answer: Diagnosis) -> list[str]:
    wanted = answer.request.resource
    lines = [f"  {answer.request.bdf} {wanted.name}: {human_size(wanted.size)} {wanted} ({answer.request.source})"]
    if not answer.levels:
        lines.append("    which window had to hold it is not shown: lspci beside the boot messages")
    for level in answer.levels:
        if level.window is None:
            what = "has no window of that kind" if level.shown else "what is above is not shown"
            lines.append(f"    {level.owner}: {what}")
            continue
        size, free = human_size(level.window.size), human_size(level.free)
        fate = (
            "large enough; a window below is in its place and is not moved"
            if level.free >= wanted.size
            else "too small"
        )
        lines.append(f"    {level.owner} {level.window.name} {level.window}: {size}, largest free piece {free}: {fate}")
        if level.free < wanted.size:
            lines.append(f"      {_stuck(level)}")
        for bdf, found in level.inside[:IN_THE_WAY_MOST]:
            lines.append(f"      in the way: {bdf} {found.name} {found}, {human_size(found.size)}")
        if len(level.inside) > IN_THE_WAY_MOST:
            lines.append(f"      and {len(level.inside) - IN_THE_WAY_MOST} more")
    if answer.largest is not None:
        most = (
            f"the largest size that fits is {human_size(answer.largest)}" if answer.largest else "no size offered fits"
        )
        lines.append(f"    Resizable BAR: {most}")
    if answer.helps is None:
        lines.append("    what would help could not be tried: the function itself is not shown")
    else:
        lines += [f"    would help: {text}" for text in answer.helps]
        if not answer.helps and answer.largest is None:
            unknown = answer.windows_from == "guessed"
            lines.append(
                f"    nothing that was tried helps{', with guessed ranges of the host bridges' if unknown else ''}"
            )
    if answer.windows_from == "guessed":
        lines.append(
            "    the host bridges' ranges are guessed from what is in use: --dmesg, --iomem or --host-window show them"
        )
    return lines


def _stuck(level: Level) -> str:
    """Why the window does not grow."""
    if level.growth is None:
        return "cannot grow: the firmware gave it"
    if not level.beside:
        return "whether it can grow is not known: what is around it on the bus above is not shown"
    if not level.growth:
        return f"cannot grow: next to it is {', and '.join(level.beside)}"
    room = human_size(level.growth)
    return f"does not grow, though {room} beside it are free: without pci=realloc Linux keeps a window that the firmware made"


def room_json(machine: Machine) -> list[dict[str, Any]]:
    """The same as plain values."""
    return [
        {
            "bdf": answer.request.bdf,
            "resource": answer.request.resource.name,
            "size": answer.request.resource.size,
            "source": answer.request.source,
            "levels": [
                {
                    "owner": level.owner,
                    "window": None if level.window is None else str(level.window),
                    "largest_free": level.free,
                    "growth": level.growth,
                    "beside": list(level.beside),
                    "inside": [[bdf, found.name, str(found)] for bdf, found in level.inside],
                }
                for level in answer.levels
            ],
            "would_help": None if answer.helps is None else list(answer.helps),
            "largest_that_fits": answer.largest,
            "host_windows": answer.windows_from,
        }
        for answer in explain(machine)
    ]


def resized_text(before: Machine, after: Machine, bdf: str, index: int) -> list[str]:
    """The BAR's new place, and every other range that changed."""
    device = after[bdf]
    lines = [f"resized, with memory decode off: {device.bdf} BAR {index} is at {device.resource(index)} now"]
    for was in before:
        now = after[was.bdf]
        for old in was.resources:
            new = now.resource(old.index)
            if new != old and (was.bdf, old.index) != (device.bdf, index):
                lines.append(f"  {was.bdf} {old.name}: {old} -> {new or 'none'}")
    return lines


def _wrap(text: str) -> list[str]:
    indent = len(text) - len(text.lstrip(" "))
    return textwrap.wrap(text.strip(), WIDTH, initial_indent=" " * indent, subsequent_indent=" " * (indent + 2))
