"""Broken inputs for the readers: pieces of recorded text, cut, doubled, shuffled and overwritten, by seed.

``python -m tests.pci.fuzz 100000 7`` tries so many texts and a tenth of that in recordings, with seed 7.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from p2plab.core.errors import BadInput
from p2plab.pci import read_lspci, read_recording

RECORDINGS = Path(__file__).resolve().parents[2] / "assets" / "recordings"
#: Words that a careless reader would trip over.
WORDS = (
    "ffffffffffffffff",
    "-1",
    "0",
    "[size=99999999999999999999E]",
    "Region 9: Memory at ",
    "Region 0: Memory at <ignored> (64-bit, prefetchable)",
    "Bus: primary=00, secondary=00, subordinate=ff",
    "Bus: primary=00, secondary=ff, subordinate=00",
    "+-",
    "\\-",
    "[00-ff]",
    "-[0000:00]-",
    "00:00.0 ",
    "ffff:ff:1f.7 PCI bridge: x",
    "00: ff ff ff ff",
    "ff0: 00",
    "\x00",
    "\t",
    "\N{SNOWMAN}",
    "null",
    '"devices": [',
    "1e999",
    "{" * 40,
)


def texts() -> list[list[str]]:
    """Blocks of lines: lspci's output of every recorded machine cut at its empty lines, and its trees whole."""
    blocks: list[list[str]] = []
    for path in sorted((RECORDINGS / "pci").glob("*.json")):
        data = json.loads(path.read_text())
        for key in ("lspci_vvv", "lspci_xxx"):
            blocks += [block.split("\n") for block in "\n".join(data[key]).split("\n\n")]
        blocks.append(data["lspci_tv"])
    return blocks


def recordings() -> list[dict[str, object]]:
    """Recordings cut down to three functions, so that many can be tried."""
    found = []
    for path in sorted((RECORDINGS / "pci").glob("*.json")):
        data = json.loads(path.read_text())
        keep = ("header", "host_bridges", "topology")
        found.append(
            {key: data[key] for key in keep} | {"devices": data["devices"][:3], "dmesg_pci": data["dmesg_pci"][:20]}
        )
    return found


def broken_texts(count: int, seed: int) -> Iterator[str]:
    """``count`` texts for the lspci reader."""
    rng = random.Random(seed)
    blocks = texts()
    for _ in range(count):
        lines = [line for block in rng.choices(blocks, k=rng.randint(1, 3)) for line in [*block, ""]]
        for _ in range(rng.randint(1, 4)):
            lines = rng.choice(_LINES)(rng, lines)
        text = "\n".join(lines)
        for _ in range(rng.randint(0, 3)):
            text = _overwrite(rng, text)
        yield text


def broken_recordings(count: int, seed: int) -> Iterator[str]:
    """``count`` texts that were a recording's JSON once."""
    rng = random.Random(seed)
    whole = recordings()
    for _ in range(count):
        data = json.loads(json.dumps(rng.choice(whole)))
        for _ in range(rng.randint(1, 3)):
            spoil(rng, data)
        text = json.dumps(data)
        if rng.random() < 0.2:
            text = _overwrite(rng, text)
        yield text


def try_text(text: str) -> str:
    """``read`` or ``refused``; anything else than BadInput is a fault of the reader and comes out here."""
    try:
        read_lspci(text)
    except BadInput as error:
        return "refused" if str(error).startswith("line ") else f"refused without a line: {error}"
    return "read"


def try_recording(text: str) -> str:
    """As :func:`try_text`, for JSON; text that is no JSON object is refused before the reader sees it."""
    try:
        data = json.loads(text)
    except ValueError:
        return "refused"
    try:
        read_recording(data if isinstance(data, dict) else {})
    except BadInput:
        return "refused"
    return "read"


def _overwrite(rng: random.Random, text: str) -> str:
    at = rng.randrange(len(text) + 1)
    kind = rng.randrange(4)
    if kind == 0:
        return text[:at] + rng.choice(WORDS) + text[at:]
    if kind == 1:
        return text[:at]
    if kind == 2:
        return text[:at] + rng.choice("0123456789abcdefx.:[]()<>|+-\\ ,=\n") + text[at + 1 :]
    return text[:at] + text[at + rng.randint(1, 40) :]


def _drop(rng: random.Random, lines: list[str]) -> list[str]:
    at = rng.randrange(len(lines))
    return lines[:at] + lines[at + rng.randint(1, 5) :] or [""]


def _double(rng: random.Random, lines: list[str]) -> list[str]:
    at, to = rng.randrange(len(lines)), rng.randrange(len(lines))
    return [*lines[:to], lines[at], *lines[to:]]


def _swap(rng: random.Random, lines: list[str]) -> list[str]:
    a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[a], lines[b] = lines[b], lines[a]
    return lines


def _insert(rng: random.Random, lines: list[str]) -> list[str]:
    at = rng.randrange(len(lines))
    return [*lines[:at], rng.choice(("", "\t", "\t\t")) + rng.choice(WORDS), *lines[at:]]


_LINES: tuple[Callable[[random.Random, list[str]], list[str]], ...] = (_drop, _double, _swap, _insert)


def spoil(rng: random.Random, value: object) -> None:
    """Walk down to some place in a JSON value and put something else there, or take it away."""
    while True:
        keys: list[object] = list(value) if isinstance(value, dict) else list(range(len(value)))  # type: ignore[arg-type]
        if not keys:
            return
        key = rng.choice(keys)
        inner = value[key]  # type: ignore[index]
        if isinstance(inner, dict | list) and inner and rng.random() < 0.8:
            value = inner
            continue
        if rng.random() < 0.2:
            del value[key]  # type: ignore[attr-defined]
        else:
            strange = (
                None,
                -1,
                1 << 70,
                0.5,
                True,
                [],
                {},
                "",
                "0x",
                "zz",
                "0" * 300,
                "0000:00:00.0",
                rng.choice(WORDS),
            )
            value[key] = rng.choice(strange)  # type: ignore[index]
        return


if __name__ == "__main__":
    many, begin = (int(word) for word in (sys.argv[1:] + ["100000", "1"][len(sys.argv) - 1 :])[:2])
    print("texts", Counter(try_text(text).partition(":")[0] for text in broken_texts(many, begin)))
    print("recordings", Counter(try_recording(text) for text in broken_recordings(many // 10, begin)))
