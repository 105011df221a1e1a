"""The ways in which lspci's text loses something on its way from a terminal to somebody else, by seed.

``python -m tests.pci.degrade 200 7`` tries 200 texts of each recorded machine with seed 7.
"""

from __future__ import annotations

import itertools
import json
import quopri
import random
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

from p2plab.core.errors import BadInput
from p2plab.pci import RFC2019, TODAY, Machine, ReachVerdict, reach_verdict, read_lspci, with_cpu

RECORDED = Path(__file__).resolve().parents[2] / "assets" / "recordings" / "pci"
Way = Callable[[random.Random, str], str]
_HEADER = re.compile(r"(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7] ")


def blocks(text: str) -> list[list[str]]:
    """The functions' blocks, without the empty lines between them."""
    return [block.split("\n") for block in re.split(r"\n{2,}", text.strip("\n")) if block]


def joined(parts: list[list[str]]) -> str:
    """Back to a text."""
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def one_v(_: random.Random, text: str) -> str:
    """-v: no registers, no details of capabilities, no numbers of BARs."""
    kept = []
    for line in text.split("\n"):
        if line.startswith(
            ("\tControl:", "\tStatus:", "\tLatency:", "\tInterrupt:", "\tSecondary status", "\tBridgeCtl")
        ):
            continue
        if not line.startswith("\t\t"):
            kept.append(re.sub(r"^\tRegion \d: ", "\t", re.sub(r"( v\d+)\]", "]", line)).replace("(v2) ", ""))
    return "\n".join(kept)


def not_root(_: random.Random, text: str) -> str:
    """Capabilities may not be read."""
    return joined(
        [
            [line for line in block if not line.startswith(("\tCapabilities", "\t\t"))]
            + (["\tCapabilities: <access denied>"] if any(line.startswith("\tCapabilities") for line in block) else [])
            for block in blocks(text)
        ]
    )


def no_nn(_: random.Random, text: str) -> str:
    """Names only."""
    lines = (
        re.sub(r" \[[0-9a-f]{4}(?::[0-9a-f]{4})?\]", "", line) if _HEADER.match(line) else line
        for line in text.split("\n")
    )
    return "\n".join(re.sub(r"(Subsystem: .*) \[[0-9a-f]{4}:[0-9a-f]{4}\]", r"\1", line) for line in lines)


def headers_only(_: random.Random, text: str) -> str:
    """lspci without -v."""
    return "\n".join(line for line in text.split("\n") if _HEADER.match(line)) + "\n"


def wrapped(rng: random.Random, text: str) -> str:
    """By a mailer, at 60 to 80 columns, with or without a blank at the end of each line."""
    width, blank = rng.choice((68, 72, 76, 80)), rng.choice(("", " "))
    out = []
    for line in text.split("\n"):
        pieces = textwrap.wrap(line.expandtabs(8), width, drop_whitespace=True, break_on_hyphens=False) or [""]
        out += [piece + blank for piece in pieces[:-1]] + pieces[-1:]
    return "\n".join(out)


def quoted(rng: random.Random, text: str) -> str:
    """In an answer to an answer."""
    mark = rng.choice(("> ", "> > ", ">> ", ">"))
    return "\n".join((mark + line).rstrip() if rng.random() < 0.97 else mark + line for line in text.split("\n"))


def indented(rng: random.Random, text: str) -> str:
    """In a bug report."""
    return textwrap.indent(text, rng.choice(("    ", "\t", "  ")))


def fenced(_: random.Random, text: str) -> str:
    """In a fence, with the command above it."""
    return f"Here is my machine:\n```console\n$ sudo lspci -nnvvv\n{text}\n```\nWhat is wrong?\n"


def nbsp(_: random.Random, text: str) -> str:
    """From a web page."""
    return text.replace("\t", "\u00a0\u00a0\u00a0\u00a0").replace("  ", "\u00a0 ")


def coloured(_: random.Random, text: str) -> str:
    """From grep --color or a terminal's log."""
    return re.sub(r"(?m)^(\S+)", "\x1b[01;32m\\1\x1b[0m", text)


def windows(_: random.Random, text: str) -> str:
    """With a byte-order mark and other line ends."""
    return "\ufeff" + text.replace("\n", "\r\n")


def quoted_printable(_: random.Random, text: str) -> str:
    """Undecoded mail."""
    return quopri.encodestring(text.replace("    ", "\u00a0   ").encode(), quotetabs=True).decode()


def double_spaced(_: random.Random, text: str) -> str:
    """An empty line after each."""
    return text.replace("\n", "\n\n")


def no_empty_lines(_: random.Random, text: str) -> str:
    """None at all."""
    return re.sub(r"\n{2,}", "\n", text)


def flat(_: random.Random, text: str) -> str:
    """A form that eats the blanks at the beginning of lines."""
    return "\n".join(line.strip() for line in text.split("\n"))


def missing_lines(rng: random.Random, text: str) -> str:
    """Some lines are gone."""
    share = rng.choice((0.01, 0.05, 0.2, 0.5))
    return "\n".join(line for line in text.split("\n") if rng.random() > share)


def missing_functions(rng: random.Random, text: str) -> str:
    """Some functions are gone."""
    share = rng.choice((0.1, 0.3, 0.6))
    return joined([block for block in blocks(text) if rng.random() > share] or blocks(text)[:1])


def cut_off(rng: random.Random, text: str) -> str:
    """The end is gone."""
    return text[: rng.randrange(len(text))]


def beginning_gone(rng: random.Random, text: str) -> str:
    """The beginning is gone."""
    return text[rng.randrange(len(text)) :]


def snipped(rng: random.Random, text: str) -> str:
    """Lines are left out, and it is said."""
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    return "\n".join([*lines[:at], rng.choice(("[...]", "...", "<snip>", "--")), *lines[at + rng.randint(1, 30) :]])


def grepped(rng: random.Random, text: str) -> str:
    """Through grep."""
    wanted = rng.choice(("ACSCtl", "Express", "Capabilities", "Region|behind", "Bus:|Express|ACS", "Kernel", "Ctl|Bus"))
    return "\n".join(line for line in text.split("\n") if _HEADER.match(line) or re.search(wanted, line))


def grepped_after(rng: random.Random, text: str) -> str:
    """grep -A: a few lines after each function's first."""
    most = rng.randint(1, 25)
    return "\n--\n".join("\n".join(block[:most]) for block in blocks(text)) + "\n"


def without_acs(_: random.Random, text: str) -> str:
    """grep -v."""
    return "\n".join(line for line in text.split("\n") if "ACS" not in line)


def without_titles(_: random.Random, text: str) -> str:
    """The lines that name capabilities are gone, their details are not."""
    return "\n".join(line for line in text.split("\n") if not re.match(r"\tCapabilities: \[...? v", line))


def terminal(rng: random.Random, text: str) -> str:
    """Copied from a terminal: broken within words, at its width."""
    width = rng.choice((80, 100))
    lines = (line.expandtabs(8) for line in text.split("\n"))
    return "\n".join(piece for line in lines for piece in _pieces(line, width))


def _pieces(line: str, width: int) -> list[str]:
    return [line[at : at + width] for at in range(0, len(line), width)] or [""]


def wrapped_deeper(rng: random.Random, text: str) -> str:
    """By an editor, which indents what it breaks."""
    width, more = rng.choice((64, 72, 80)), rng.choice(("", "    "))
    out = []
    for line in text.split("\n"):
        whole = line.expandtabs(8)
        indent = whole[: len(whole) - len(whole.lstrip())] + more
        out += textwrap.wrap(whole, width, subsequent_indent=indent, break_on_hyphens=False) or [""]
    return "\n".join(out)


def numbered(rng: random.Random, text: str) -> str:
    """With grep -n, cat -n, as a diff, a list or a log."""
    form = rng.choice(("{n}:{line}", "{n:6d}  {line}", "+{line}", "* {line}", "Nov 28 10:00:00 host x[1]: {line}"))
    return "\n".join(form.format(n=n, line=line) for n, line in enumerate(text.split("\n"), 1))


WAYS: tuple[Way, ...] = (
    one_v, not_root, no_nn, headers_only, wrapped, quoted, indented, fenced, nbsp, coloured, windows, quoted_printable,
    double_spaced, no_empty_lines, flat, missing_lines, missing_functions, cut_off, beginning_gone, snipped, grepped,
    grepped_after, without_acs, without_titles, terminal, wrapped_deeper, numbered,
)  # fmt: skip
#: Those after which nothing is lost: the machine must be the same.
HARMLESS: tuple[Way, ...] = (
    wrapped,
    quoted,
    indented,
    nbsp,
    coloured,
    windows,
    quoted_printable,
    no_empty_lines,
    numbered,
)

Answers = dict[tuple[str, str, str], ReachVerdict]


def answers(machine: Machine, most: int = 6) -> Answers:
    """The verdicts on every pair of the first few endpoints, by both rule sets."""
    ends = [device.bdf for device in machine.endpoints][:most]
    return {
        (a, b, kernel.name): reach_verdict(machine, a, b, kernel)
        for a, b in itertools.product(ends, repeat=2)
        for kernel in (RFC2019, TODAY)
    }


def contradictions(path: Path, count: int, seed: int, cpu: str | None = "intel") -> Iterator[str]:
    """Of ``count`` degraded texts of a machine, the verdicts that differ from the whole text's and are not "not known"."""
    data = json.loads(path.read_text())
    text = "\n".join(data["lspci_vvv"]) + "\n\n"
    whole = answers(with_cpu(read_lspci(text), cpu))
    for number in range(count):
        rng = random.Random(f"{seed} {path.stem} {number}")
        ways, worse = rng.sample(WAYS, rng.choice((1, 1, 1, 2, 3))), text
        for way in ways:
            worse = way(rng, worse) if worse else worse
        try:
            seen = with_cpu(read_lspci(worse), cpu)
        except BadInput:
            continue
        for key, verdict in whole.items():
            if key[0] not in seen or key[1] not in seen:
                continue
            found = reach_verdict(seen, key[0], key[1], RFC2019 if key[2] == RFC2019.name else TODAY)
            answer = found.map_type, found.distance
            if found.known and answer != (verdict.map_type, verdict.distance):
                yield f"{path.stem} {number} {'+'.join(w.__name__ for w in ways)}: {key}: {answer}, not {verdict.map_type}"


if __name__ == "__main__":
    each, start = (int(word) for word in (sys.argv[1:] + ["100", "1"][len(sys.argv) - 1 :])[:2])
    for recorded in sorted(RECORDED.glob("*.json")):
        for sentence in contradictions(recorded, each, start):
            print(sentence)
