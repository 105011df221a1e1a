"""Reading records of scenes (``scenes/*.json``): one play on a real kernel a file, each field checked.

Anything wrong with a file becomes :class:`~p2plab.core.errors.BadInput` that names the file and the field.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from p2plab.core.errors import BadInput
from p2plab.core.lockdep import NOTIFIER

#: The largest record that is read, in bytes; those recorded have about 40,000.
LARGEST = 16 << 20
_LIST, _TABLE = (list,), (dict,)
_FIELDS: dict[str, tuple[type, ...]] = {
    "scene": (str,),
    "model_scene": (str,),
    "kind": (str,),
    "kernel": (str,),
    "iommu": (bool,),
    "variant": _TABLE,
    "play": _LIST,
    "qemu_args": _LIST,
    "events": _LIST,
    "after": _TABLE,
    "bar_file": _TABLE,
    "beats": _LIST,
    "kernel_says": _LIST,
    "stuck": _LIST,
}
_ROWS: dict[str, dict[str, type]] = {
    "events": {"who": str, "text": str},
    "beats": {"by": str, "meant": str, "hit": str},
    "kernel_says": {"kind": str, "phase": str, "text": str},
}


@dataclass(frozen=True)
class Complaint:
    """One complaint of the kernel: its ``kind``, the ``phase`` (``play`` or ``end``) and its first line.

    ``chain`` is lockdep's: the classes from the wanted lock to the held one; a single one for a recursion.
    """

    kind: str
    phase: str
    text: str
    chain: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """One play. ``kernel`` is its version (``6.12``); ``options`` are those of the two recording drivers (``odp=1``)."""

    source: str
    scene: str
    model_scene: str
    kind: str
    kernel: str
    iommu: bool
    options: tuple[str, ...]
    play: tuple[str, ...]
    apart: bool  #: whether the second importer is behind another root port than the first
    events: tuple[tuple[str, str], ...]  #: (who, text), in order
    beats: tuple[
        tuple[str, str, str], ...
    ]  #: (the engine's importer, the intended page, the page that it landed in or "")
    shows: dict[int, str]  #: slot -> the page that it shows at the end; "" for none
    bytes: dict[int, str]  #: slot -> its bytes at the end
    says: tuple[Complaint, ...]
    stuck: frozenset[str]  #: actors that never came back, and those that the kernel reported as hung
    poisoned: bool  #: whether freed vmas were poisoned
    traced: bool  #: whether lockdep saw ``srcu`` around the callbacks of 2019

    @property
    def name(self) -> str:
        """``F2i.broken``."""
        return f"{self.scene}.{self.kind}"

    @property
    def code(self) -> str:
        """The code of its scene: ``F2`` of ``F2i``. The records of X1 to X3 name the scene that they were made from."""
        found = re.match(r"[A-Z]\d{1,3}", self.scene)
        return found[0] if found is not None and self.scene[0] == "X" else self.model_scene

    @property
    def varied(self) -> str:
        """The suffix that distinguishes the variant from its scene (``i``), empty for the scene itself."""
        return self.scene.removeprefix(self.code)


def read_record(path: Path) -> Record:
    """The record in a file. :exc:`BadInput` names the file and what is wrong with it."""
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise BadInput(f"{path}: longer than {LARGEST >> 20} MiB: not a record of a scene")
        raw = json.loads(text)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: not JSON: {str(error)[:80]}") from None
    if not isinstance(raw, dict):
        raise BadInput(f"{path}: a JSON object was expected")
    _check(path, raw)
    version = re.match(r"Linux \S+ (\d+\.\d+)", raw["kernel"])
    if version is None:
        raise BadInput(f"{path}: kernel: 'Linux HOST VERSION …' was expected, not {raw['kernel'][:40]!r}")
    says = tuple(Complaint(s["kind"], s["phase"], s["text"], _chain(s)) for s in raw["kernel_says"])
    hung = {match[1] for said in says if said.phase == "play" and (match := re.match(r"task (\w+)[: ]", _task(said)))}
    return Record(
        path.name,
        raw["scene"],
        raw["model_scene"],
        raw["kind"],
        version[1],
        raw["iommu"],
        tuple(word for options in raw["variant"].values() for word in str(options).split()),
        tuple(map(str, raw["play"])),
        any(word.startswith("edu,") and ",bus=rp" in word for word in map(str, raw["qemu_args"])),
        tuple((event["who"], event["text"]) for event in raw["events"]),
        tuple((b["by"], b["meant"], _hit(raw, b)) for b in raw["beats"]),
        _slots(path, "after", {str(s.get("slot")): s.get("shows") for s in _rows(path, raw["after"], "slots")}),
        _slots(path, "bar_file", _ends(path, raw)),
        says,
        frozenset(map(str, raw["stuck"])) | hung,
        any("slub_debug=" in word or "kasan" in raw["kernel"] for word in map(str, raw["qemu_args"])),
        _traced(raw.get("lock_orders")),
    )


def _chain(said: dict[str, Any]) -> tuple[str, ...]:
    """The subject of a lockdep report: its chain, or the one class that is taken twice."""
    chain = said.get("chain") if isinstance(said.get("chain"), list) else [said.get("wants", "")]
    return tuple(map(str, chain or ())) if said["kind"] == "lockdep" else ()


def _traced(orders: Any) -> bool:
    """Whether ``srcu`` is all that was ever taken right under a notifier's map: not in a kernel that does not trace it."""
    return isinstance(orders, dict) and orders.get(NOTIFIER) == ["srcu"]


def _hit(raw: dict[str, Any], beat: dict[str, Any]) -> str:
    """The page that a beat reached. Records say what its address shows, also to a write that the IOMMU does not let pass."""
    at, importer = beat.get("at_event"), beat["by"].removesuffix("_dma")
    if beat["hit"] == "fault":
        return ""
    if raw["iommu"] and beat.get("way") == "write" and isinstance(at, int):
        asked = [
            event["text"]
            for event in raw["events"][: max(at, 0)]
            if event["who"] == importer and event["text"].startswith("calls p2p_map")
        ]
        if asked and asked[-1].endswith(" read"):
            return ""
    return str(beat["hit"])


def _ends(path: Path, raw: dict[str, Any]) -> dict[str, Any]:
    """The bytes of the slots at the end of the play: from behind the BAR, unless a stuck play was torn down before that."""
    if not raw["stuck"]:
        return dict(raw["bar_file"])
    return {str(slot.get("slot")): slot.get("bytes") for slot in _rows(path, raw["after"], "slots")}


def _task(said: Complaint) -> str:
    """The text of a hung task from its word ``task`` on."""
    return said.text.removeprefix("INFO: ") if said.kind == "hung" else ""


def _rows(path: Path, table: dict[str, Any], field: str) -> list[dict[str, Any]]:
    rows = table.get(field, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadInput(f"{path}: {field}: a list of objects was expected")
    return rows


def _slots(path: Path, field: str, table: dict[str, Any]) -> dict[int, str]:
    if not all(slot.isdecimal() and len(slot) < 6 and isinstance(text, str) for slot, text in table.items()):
        raise BadInput(f"{path}: {field}: a text for each slot number was expected")
    return {int(slot): text for slot, text in table.items()}


def _check(path: Path, raw: dict[str, Any]) -> None:
    for field, kinds in _FIELDS.items():
        if not isinstance(raw.get(field), kinds):
            raise BadInput(f"{path}: {field}: {kinds[0].__name__} was expected; is this a record of a scene?")
    for field, columns in _ROWS.items():
        for number, row in enumerate(_rows(path, raw, field)):
            for column, kind in columns.items():
                if not isinstance(row.get(column), kind):
                    raise BadInput(f"{path}: {field}, row {number}: {column}: {kind.__name__} was expected")
    if raw["kind"] not in ("broken", "good"):
        raise BadInput(f"{path}: kind: broken or good was expected, not {raw['kind'][:20]!r}")
