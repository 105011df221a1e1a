"""Broken tokens, knobs, schedules, logs, journals and hand-ins: valid ones cut, doubled, spoiled, and plain noise."""

from __future__ import annotations

import json
import random
import string
import zlib
from collections.abc import Callable, Iterator
from functools import cache

from p2plab.core.logfile import dump
from p2plab.core.run import Run
from p2plab.core.token import token_of
from p2plab.everything import SCENES, find

#: Pieces that a careless reader would trip over.
PIECES = (
    "", "0", "-1", "9" * 30, "9" * 5000, "1e999", "NaN", "Infinity", "null", "true", "\x00", "\u2028", "\ud800", "é", "١٢", "²",
    "​", "a" * 300, "z" * 2000, "Z" * 2000, "a999999", "zzzzz", "../../etc/passwd", "__class__", "{0}", "%s", "${x}",
    "<script>alert(1)</script>", "';--", "=cmd()", "os.system", "[" * 500, "{" * 500, '{"a":' * 300, "'", '"', "\\", "~", ".",
    ",", "=", "...", "!map", "gpu*999999", "import os", "eval(1)", "\n", "\r\n", " ", "\t", "p2p1.", "p2p2.", "-",
)  # fmt: skip


@cache
def tokens() -> tuple[str, ...]:
    """Of every scene's story, and of some random orders."""
    found = []
    for scene in SCENES.values():
        run = Run(scene).told(200)
        found.append(token_of(run))
    return tuple(found)


@cache
def logs() -> tuple[str, ...]:
    """Two whole logs as text."""
    runs = (Run(find(name)).told() for name in ("defrag-ignorant", "defrag-obedient"))
    return tuple("\n".join(dump(run)) for run in runs)


def check_of(body: str) -> str:
    """A right check for a wrong token, so that what lies behind the check is reached too."""
    import base64

    return base64.b32encode(zlib.crc32(body.encode(errors="replace")).to_bytes(4)).decode().lower()[:6]


def noise(rng: random.Random, most: int = 200) -> str:
    """Text of any characters, the first page of Unicode more often."""
    top = rng.choice((0x7F, 0xFF, 0x2FFF, 0x10FFFF))
    return "".join(chr(rng.randint(0, top)) for _ in range(rng.randint(0, most)))


def spoil(rng: random.Random, text: str) -> str:
    """One to four small injuries."""
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(text) + 1)
        kind = rng.randrange(6)
        if kind == 0:
            text = text[:at] + rng.choice(PIECES) + text[at:]
        elif kind == 1:
            text = text[:at]
        elif kind == 2:
            text = text[:at] + rng.choice(string.printable) + text[at + 1 :]
        elif kind == 3:
            text = text[:at] + text[at + rng.randint(1, 20) :]
        elif kind == 4:
            text = text[:at] + text[at : at + rng.randint(1, 40)] * rng.randint(2, 5) + text[at:]
        else:
            text = text[:at] + noise(rng, 10) + text[at:]
    return text


def broken_tokens(count: int, seed: int) -> Iterator[str]:
    """Half of them with a check that fits: only those get behind it."""
    rng = random.Random(seed)
    whole = tokens()
    for _ in range(count):
        kind = rng.random()
        if kind < 0.1:
            yield noise(rng)
        elif kind < 0.5:
            yield spoil(rng, rng.choice(whole))
        else:
            parts = rng.choice(whole).split(".")[:-1]
            place = rng.randrange(1, len(parts))
            parts[place] = rng.choice(
                (spoil(rng, parts[place]), rng.choice(PIECES), rng.choice(whole).split(".")[place])
            )
            body = ".".join(parts)
            yield f"{body}.{check_of(body)}"


def settings(count: int, seed: int) -> Iterator[tuple[str, dict[str, object]]]:
    """Names of scenes, and knobs: right ones with values of every sort, wrong ones, none."""
    rng = random.Random(seed)
    names = [*SCENES, "F1", "e4", *PIECES]
    values: tuple[Callable[[], object], ...] = (
        lambda: rng.choice(PIECES),
        lambda: rng.randint(-(10**6), 10**6),
        lambda: 10 ** rng.randint(0, 30_000),
        lambda: float("nan"),
        lambda: float("inf"),
        lambda: None,
        lambda: [[[]]] * 50,
        lambda: {"a": noise(rng)},
        lambda: noise(rng),
        lambda: b"\xff" * 50,
        lambda: True,
    )
    for _ in range(count):
        name = rng.choice(names) if rng.random() < 0.8 else spoil(rng, rng.choice(names) or "x")
        knobs = [knob.name for knob in SCENES[name].knobs] if name in SCENES else []
        given = {
            (rng.choice(knobs) if knobs and rng.random() < 0.8 else rng.choice(PIECES)): rng.choice(values)()
            for _ in range(rng.randint(0, 3))
        }
        yield name, given


def broken_schedules(count: int, seed: int) -> Iterator[str]:
    """The text form of a schedule, spoiled."""
    rng = random.Random(seed)
    whole = [scene.story for scene in SCENES.values()]
    for _ in range(count):
        yield spoil(rng, rng.choice(whole)) if rng.random() < 0.9 else noise(rng)


def broken_logs(count: int, seed: int) -> Iterator[list[str]]:
    """A few lines of a log, in which a line, or a value inside a line, is spoiled."""
    rng = random.Random(seed)
    whole = [text.splitlines() for text in logs()]
    strange: tuple[object, ...] = (
        None,
        -1,
        1 << 70,
        10**3000,
        0.5,
        float("nan"),
        True,
        [],
        {},
        [[]],
        "",
        "0x",
        "0x" + "f" * 40,
        *PIECES,
    )
    for _ in range(count):
        lines = [rng.choice(whole)[0], *rng.sample(rng.choice(whole)[1:], 3)]
        at = rng.randrange(len(lines))
        if rng.random() < 0.5:
            lines[at] = spoil(rng, lines[at])
        else:
            value = json.loads(lines[at])
            value[rng.choice(list(value))] = rng.choice(strange)
            lines[at] = json.dumps(value)
        yield lines


def journals(count: int, seed: int) -> Iterator[bytes]:
    """Whole files of a journal."""
    rng = random.Random(seed)
    whole = [json.dumps({"key": "|workbench", "token": token}) for token in tokens()[:5]]
    for _ in range(count):
        lines = [spoil(rng, line) if rng.random() < 0.7 else line for line in rng.choices(whole, k=rng.randint(0, 6))]
        yield "\n".join([*lines, "[" * 15_000] if rng.random() < 0.1 else lines).encode(errors="surrogatepass")


def hand_ins(count: int, seed: int) -> Iterator[bytes]:
    """Files that a class hands in."""
    rng = random.Random(seed)
    whole = json.dumps(
        {"format": "p2plab hand-in 1", "name": "ada", "sources": {"obey": {"class": "N", "source": "class N: pass"}}}
    )
    for _ in range(count):
        text = spoil(rng, whole) if rng.random() < 0.95 else noise(rng)
        yield text.encode(errors="surrogatepass")
