"""Reading recordings of address spaces (``mmu/*.jsonl``): a header line, then one case per line, each checked.

Anything wrong with a file becomes :class:`~p2plab.core.errors.BadInput` that names file and line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from p2plab.core.errors import BadInput
from p2plab.mm.kernel import LINUX_6_1, LINUX_6_12, LINUX_7_3, Kernel

#: No recorded page number is farther from the first page than this (256 MiB): larger ones are not from a recording.
FARTHEST = 1 << 16
#: The longest line that is read, in characters
LONGEST = 16 << 20
KERNELS = {
    # Debian's configurations have no CONFIG_ANON_VMA_NAME
    "deb612": replace(LINUX_6_12, anon_vma_names=False),
    "deb61": replace(LINUX_6_1, anon_vma_names=False),
    # its configuration has no CONFIG_MEMORY_FAILURE, and not CONFIG_PROC_MEM_ALWAYS_FORCE
    "p73": replace(LINUX_7_3, unknown_advice=("SOFT_OFFLINE", "HWPOISON"), proc_mem_forces=False),
}
PAGE_FIELDS = ("start", "end", "new_start", "new_end", "pages", "at", "node", "value")


@dataclass(frozen=True)
class Recording:
    """One recorded sequence: its place in the file, the kernel, what was mapped, and the operations with their results."""

    where: str
    name: str
    kernel: Kernel
    kind: str
    pages: int
    refuse: bool  #: the listener of the recording answered false whenever it may
    swap: bool  #: the machine of the recording had a swap area
    ops: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Pair:
    """Two threads of one process: ``prep`` is done first, then ``a`` and ``b`` at the same time, one operation each.

    ``window``: A slept in its callbacks (else it was a free race). ``memory``: pages and VMAs at the end, as recorded.
    """

    where: str
    name: str
    kernel: Kernel
    kind: str
    pages: int
    window: bool
    prep: str
    a: dict[str, Any]
    b: dict[str, Any]
    events: tuple[dict[str, Any], ...]
    memory: dict[str, Any]

    @property
    def late(self) -> bool:
        """Whether B began only after the first of A's events was over: the scheduler made it miss its window."""
        calls = [call.get("cb") for call in self.events if call.get("cb") == "end" or call.get("n") == 1]
        return self.window and calls[:1] == ["end"] and "mark" in calls

    @property
    def asked(self) -> tuple[object, ...]:
        """What was done: equal for repetitions of the same race."""
        return (self.kernel.name, self.kind, self.pages, self.window, self.late, self.prep, self.a["op"], self.b["op"])


def read_cases(path: Path) -> Iterator[Recording | Pair]:
    """The cases of one file, one by one."""
    kernel: Kernel | None = None
    window: bool | None = None
    try:
        swap = _had_swap(path)
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(_lines(file, path), 1):
                where = f"{path.name}:{number}"
                record = _parse(line, where)
                if kernel is None:
                    kernel = _kernel(record, where)
                    window = _window(record)
                elif "A" in record or "B" in record:
                    yield _pair(record, kernel, window, where)
                else:
                    yield _case(record, kernel, swap, where)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path}: this is not UTF-8 text") from None
    if kernel is None:
        raise BadInput(f"{path.name}:1: the file is empty; a header line was expected")


def _had_swap(path: Path) -> bool:
    """Whether the machine had a swap area: the header does not say, but some page of some case went there."""
    with path.open(encoding="utf-8") as file:
        return any('"swapped":' in line for line in _lines(file, path))


def _lines(file: Any, path: Path) -> Iterator[str]:
    number = 0
    while line := file.readline(LONGEST + 1):
        number += 1
        if len(line) > LONGEST:
            raise BadInput(f"{path.name}:{number}: the line is longer than {LONGEST} characters")
        if line.strip():
            yield line


def _parse(line: str, where: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where}: this is not a line of JSON ({str(error)[:80]})") from None
    if not isinstance(record, dict):
        raise BadInput(f"{where}: an object was expected")
    return record


def _kernel(record: dict[str, Any], where: str) -> Kernel:
    header = record.get("header")
    key = header.get("kernel_key") if isinstance(header, dict) else None
    if not isinstance(key, str) or key not in KERNELS:
        raise BadInput(f"{where}: the first line must be a header with kernel_key, one of {', '.join(KERNELS)}")
    return KERNELS[key]


def _window(record: dict[str, Any]) -> bool | None:
    """Whether two threads were recorded with a window or in a free race: the recorder says so."""
    words = str(record["header"].get("cmdline", ""))
    return True if "two_window" in words else False if "two_race" in words else None


def _pair(record: dict[str, Any], kernel: Kernel, window: bool | None, where: str) -> Pair:
    name, kind, pages = record.get("name"), record.get("kind"), record.get("pages")
    if window is None:
        raise BadInput(f"{where}: two threads, and the header's cmdline says neither two_window nor two_race")
    if not isinstance(name, str) or not isinstance(kind, str) or type(pages) is not int or not 0 < pages <= FARTHEST:
        raise BadInput(f"{where}: a pair needs a name, a kind and its number of pages, 1 to {FARTHEST}")
    a, b = record.get("A"), record.get("B")
    for thread in (a, b):
        if not isinstance(thread, dict) or not isinstance(thread.get("op"), str):
            raise BadInput(f"{where}: pair {name[:60]} needs A and B, each an object with the operation in 'op'")
    events, prep = record.get("events"), record.get("prep", "")
    if not isinstance(prep, str) or not isinstance(events, list) or not all(isinstance(e, dict) for e in events):
        raise BadInput(f"{where}: pair {name[:60]} needs prep, a text, and events, a list of objects")
    if any(e.get("cb") != "mark" and not {"start", "end"} <= e.keys() for e in events):
        raise BadInput(f"{where}: pair {name[:60]}: an event needs its start and its end")
    memory: dict[str, Any] = {key: record[key] for key in ("pop", "dev_writable", "swapped", "vmas") if key in record}
    assert isinstance(a, dict)
    assert isinstance(b, dict)
    return Pair(where, name, kernel, kind, pages, window, prep, a, b, tuple(events), memory)


def _case(record: dict[str, Any], kernel: Kernel, swap: bool, where: str) -> Recording:
    name = record.get("name", record.get("seed"))
    if not isinstance(name, (str, int)):
        raise BadInput(f"{where}: a case needs a name or a seed")
    kind, ops = record.get("kind"), record.get("ops")
    if not isinstance(kind, str) or not isinstance(ops, list):
        raise BadInput(f"{where}: case {str(name)[:60]} needs a kind and a list of ops")
    pages = record.get("pages")
    if type(pages) is not int or not 0 < pages <= FARTHEST:
        raise BadInput(f"{where}: case {str(name)[:60]} needs its number of pages, 1 to {FARTHEST}")
    for number, op in enumerate(ops, 1):
        _check_op(op, f"{where}: case {str(name)[:60]}, operation {number}")
    return Recording(where, str(name), kernel, kind, pages, bool(record.get("refuse", False)), swap, tuple(ops))


def _check_op(op: Any, where: str) -> None:
    if not isinstance(op, dict) or not isinstance(op.get("op"), str):
        raise BadInput(f"{where}: an object with the operation's name in 'op' was expected")
    for field in PAGE_FIELDS:
        value = op.get(field, 0)
        if type(value) is not int or abs(value) > FARTHEST:
            raise BadInput(f"{where} ({op['op'][:40]}): {field} must be a number up to {FARTHEST}, not {value!r:.40}")
    for low, high in (("start", "end"), ("new_start", "new_end")):
        if op.get(high, FARTHEST) < op.get(low, -FARTHEST):
            raise BadInput(f"{where} ({op['op'][:40]}): {high} lies before {low}")
    for field in ("advice", "prot", "flags", "kind", "policy"):
        if not isinstance(op.get(field, ""), str):
            raise BadInput(f"{where} ({op['op'][:40]}): {field} must be text, not {op[field]!r:.40}")
    for field in ("events", "child_events"):
        events = op.get(field, [])
        if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
            raise BadInput(f"{where} ({op['op'][:40]}): {field} must be a list of objects")


def page_of(op: dict[str, Any], field: str) -> int:
    """A page number that the operation needs."""
    value = op.get(field)
    if type(value) is not int:
        raise BadInput(f"operation {op['op'][:40]} needs {field}")
    return value
