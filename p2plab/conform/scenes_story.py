"""What a record and a run of the model have in common, as (actor, text): the contract's calls with ranges and results,
callbacks and their answers, what the importer programs, slots, beats.

Pages count from where a process maps its object; ``app2:`` marks the second process.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from p2plab.catalog.rig import BASE, BASE2
from p2plab.core.calls import Called, Returned
from p2plab.core.errno import errorcode
from p2plab.core.events import Entry
from p2plab.core.worker import JobFailed
from p2plab.mm.log import NotifierStart
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.events import (
    BeatIssued,
    BeatLanded,
    MapAsked,
    MapRetried,
    MoveBegun,
    P2PMapFailed,
    P2PMapped,
    P2PUnmapped,
    SlotTaken,
    TranslationSet,
)

#: (actor, what it did)
Token = tuple[str, str]
#: What happens farther than this from a mapping (bytes below, above) is the process's own start and end.
NEAR = (0x4_0000, 0x20_0000)
#: The tasks of a record that are one worker in the model.
TASKS = {"oom_reaper": "app", "app2": "app"}


def span(start: int, end: int) -> str:
    """``[start, end)`` in pages of the process that maps there."""
    for base, name in ((BASE2, "app2:"), (BASE, "")):
        if base - NEAR[0] <= start < base + (BASE2 - BASE) // 2:
            return f"{name}{(start - base) // PAGE_SIZE}..{(end - base) // PAGE_SIZE}"
    return f"{start:#x}..{end:#x}"


def near(start: int, end: int) -> bool:
    """Whether a range touches what the processes map of the exporter."""
    return any(start < base + NEAR[1] and end > base - NEAR[0] for base in (BASE, BASE2))


def result(number: int) -> str:
    """A return value as the kernel's readers write it: ``0``, ``-EFAULT``."""
    return f"-{errorcode[-number]}" if -number in errorcode else str(number)


# -- the record ---------------------------------------------------------------------------------------------------------

_WORD = re.compile(r"[A-Za-z][a-z_>-]{2,29}")
_RANGE = r"\[([0-9a-f]{1,16}), ([0-9a-f]{1,16})\)"
_KERNEL = [
    (name, re.compile(pattern))
    for name, pattern in (
        ("asks", rf"calls p2p_map {_RANGE}"),
        ("mapped", r"p2p_map = (-?\d{1,9})\b"),
        ("gives", rf"calls p2p_unmap {_RANGE}"),
        ("given", r"p2p_unmap = (-?\d{1,9})\b"),
        ("told", rf"(nic2?)\.invalidate(?:_range_start)? (\w+) {_RANGE}( must not block)?"),
        ("answers", r"(nic2?)\.invalidate(_range_start)? = (\S+)"),
        ("end", r"(nic2?)\.invalidate_range_end"),
        ("programs", r"programs (\d{1,6}) pages at ([0-9a-f]{1,16})"),
        ("slot", r"slot (\d{1,6}) = (\S+)"),
        ("issued", r"beat (\d{1,6}) looks up ([0-9a-f]{1,16})"),
        ("lands", r"beat (\d{1,6}) lands"),
        ("round", r"goes round"),
        ("failed", r"map = (-\d{1,9})\b"),
    )
]


def of_record(events: Iterable[Token], guide: bool = False) -> tuple[list[Token], Counter[str]]:
    """What a record says between its two states; and counts, by first word, of what only its drivers log.

    ``guide``: also where an exporter begins to move an object, which helps to follow a record and is not compared.
    """
    tokens: list[Token] = []
    own: Counter[str] = Counter()
    ranges: dict[str, str] = {}
    told: dict[str, bool] = {}
    started = False
    for task, text in events:
        who = TASKS.get(task, task)
        if text == "= state before":
            started = True
        elif started and text in ("= state after", "comes out of the kernel"):
            break
        elif started and guide and (moves := re.match(r"wants to move (\w+)$", text)):
            tokens.append((who, f"moves {moves[1]}"))
        elif started and text[:1] not in ("<", ">", "!", "#", "="):
            name, found = next(((n, m) for n, pattern in _KERNEL if (m := pattern.match(text))), ("", None))
            if found is None:
                word = _WORD.match(text)
                own[word[0] if word is not None else "(others)"] += 1
            else:
                tokens.extend((who, said) for said in _recorded(name, found, who, ranges, told))
    return tokens, own


def _recorded(
    name: str, found: re.Match[str], who: str, ranges: dict[str, str], told: dict[str, bool]
) -> Iterator[str]:
    groups = found.groups()
    if name in ("asks", "gives"):
        ranges[f"{name} {who}"] = span(int(groups[0], 16), int(groups[1], 16))
        if name == "asks":
            yield f"asks p2p_map {ranges[f'asks {who}']}"
    elif name == "mapped":
        yield f"p2p_map {ranges.get(f'asks {who}', '?')} = {result(int(groups[0]))}"
    elif name == "given":
        yield f"p2p_unmap {ranges.get(f'gives {who}', '?')} = {result(int(groups[0]))}"
    elif name == "told":
        start, end = int(groups[2], 16), int(groups[3], 16)
        told[who] = near(start, end)
        if told[who]:
            yield f"{groups[0]} told {groups[1]} {span(start, end)}{' nonblock' if groups[4] else ''}"
    elif name == "answers" and told.get(who):
        number = re.fullmatch(r"-?\d{1,9}", groups[2])
        yield f"{groups[0]} answers {result(int(groups[2])) if number and groups[1] else groups[2]}"
    elif name == "end" and told.get(who):
        yield f"{groups[0]} end"
    elif name == "programs":
        start = int(groups[1], 16)
        yield f"programs {span(start, start + PAGE_SIZE * int(groups[0]))}"
    elif name == "slot":
        yield f"slot {groups[0]} = {groups[1]}"
    elif name == "issued":
        ranges[f"beat {who} {groups[0]}"] = _page(int(groups[1], 16))
        yield f"beat {ranges[f'beat {who} {groups[0]}']} issued"
    elif name == "lands":
        yield f"beat {ranges.get(f'beat {who} {groups[0]}', groups[0])} lands"
    elif name == "round":
        yield "goes round"
    elif name == "failed":
        yield f"map fails {result(int(groups[0]))}"


def _page(address: int) -> str:
    return span(address, address + PAGE_SIZE).partition("..")[0]


# -- the model ----------------------------------------------------------------------------------------------------------


class Reader:
    """Reads a log entry by entry. ``tokens`` are those of the entries so far; ``guide`` as in :func:`of_record`."""

    def __init__(self, guide: bool = False) -> None:
        self.guide = guide
        self.tokens: list[Token] = []
        self._gives: dict[str, str] = {}
        self._told: dict[str, tuple[str, bool]] = {}

    def read(self, entries: Iterable[Entry]) -> Reader:
        """Go on with these entries."""
        for entry in entries:
            if entry.step:
                self.tokens.extend((entry.actor, said) for said in self._modelled(entry))
        return self

    def _modelled(self, entry: Entry) -> Iterator[str]:
        event, who = entry.event, entry.actor
        if isinstance(event, MapAsked):
            yield f"asks p2p_map {span(event.start, event.end)}"
        elif isinstance(event, P2PMapped):
            yield f"p2p_map {span(event.start, event.end)} = 0"
        elif isinstance(event, P2PMapFailed):
            yield f"p2p_map {span(event.start, event.end)} = {result(event.status) if event.status else f'-{event.errno}'}"
        elif isinstance(event, P2PUnmapped):
            self._gives[who] = span(event.start, event.end)
        elif isinstance(event, NotifierStart):
            said = f"{event.event} {span(event.start, event.end)}{'' if event.blockable else ' nonblock'}"
            self._told[who] = said, near(event.start, event.end)
        elif isinstance(event, Called | Returned):
            yield from self._call(event, who)
        elif isinstance(event, TranslationSet):
            yield f"programs {span(event.start, event.start + PAGE_SIZE * len(event.addresses))}"
        elif isinstance(event, MoveBegun):
            if self.guide:
                yield f"moves {event.object}"
        elif isinstance(event, SlotTaken):
            yield f"slot {event.slot} = {event.frame}"
        elif isinstance(event, BeatIssued | BeatLanded):
            yield f"beat {_page(event.page)} {'issued' if isinstance(event, BeatIssued) else 'lands'}"
        elif isinstance(event, MapRetried):
            yield "goes round"
        elif isinstance(event, JobFailed) and event.job == "map":
            yield f"map fails {event.error.split(':')[0]}"

    def _call(self, event: Called | Returned, who: str) -> Iterator[str]:
        said, close = self._told.get(who, ("?", True))
        start = event.function in ("invalidate_range_start", "invalidate")
        if isinstance(event, Called):
            if start and close:
                yield f"{event.target} told {said}"
            elif event.function == "invalidate_range_end" and close:
                yield f"{event.target} end"
        elif event.function == "p2p_unmap" and event.target == "gpu":
            number = re.fullmatch(r"-?\d+", event.result)
            yield f"p2p_unmap {self._gives.get(who, '?')} = {result(int(event.result)) if number else event.result or '0'}"
        elif start and close:
            number = re.fullmatch(r"-?\d+", event.result)
            plain = event.result.lower() or ("0" if "range" in event.function else "true")
            yield f"{event.target} answers {result(int(event.result)) if number else plain}"


def by_actor(tokens: Iterable[Token]) -> dict[str, list[str]]:
    """The tokens of each actor, in order."""
    actors: dict[str, list[str]] = {}
    for who, said in tokens:
        actors.setdefault(who, []).append(said)
    return actors
