"""The docstrings of all rooms: a page a room. What is public, with examples, is docs/reference.md, which comes first.

The reference answers of the exercises are in no page and in no index.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: From the ground up, as DESIGN.md has them; what is new comes last.
ORDER = (
    *("core", "pci", "mm", "p2p", "drivers", "rules", "catalog", "designs", "search", "sweeps", "conform", "views"),
    *("lab", "course", "cli"),
)
_THERE = {folder.parent.name for folder in (ROOT / "p2plab").glob("*/__init__.py")}
ROOMS = (*(room for room in ORDER if room in _THERE), *sorted(_THERE - set(ORDER)))


def pages() -> dict[str, str]:
    """File name to text: an index, and a page for each room."""
    index = [
        "All modules",
        "===========",
        "",
        "What is public, with examples: :doc:`/docs/reference`. Here is all of the package, a page for each room,",
        "from the ground up: imports only point from below to above in this list. It may change between two versions.",
        "The source of each name is one click away.",
        "",
        *(line for room in ROOMS for line in (f":doc:`{room}`", f"    {_first_line(room)}", "")),
        ".. toctree::",
        "   :hidden:",
        "",
        *(f"   {room}" for room in ROOMS),
        "",
    ]
    return {"index.rst": "\n".join(index)} | {f"{room}.rst": _room(room) for room in ROOMS}


def _first_line(room: str) -> str:
    """What the room is, in the words of its docstring."""
    text = ast.get_docstring(ast.parse((ROOT / "p2plab" / room / "__init__.py").read_text(encoding="utf-8"))) or room
    return text.partition("\n")[0].replace("``", "`")


def _room(room: str) -> str:
    title = f"p2plab.{room}"
    lines = [title, "=" * len(title), "", f".. automodule:: p2plab.{room}", "   :no-members:", ""]
    for module in _modules(room):
        lines += [module, "-" * len(module), "", f".. automodule:: {module}", ""]
    return "\n".join(lines)


def _modules(room: str) -> list[str]:
    """Dotted names of the room's modules, packages left out: they only pass names on."""
    files = sorted((ROOT / "p2plab" / room).rglob("*.py"))
    return [
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for file in files
        if file.name not in ("__init__.py", "__main__.py") and "solutions" not in file.parts
    ]
