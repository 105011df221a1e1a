"""From what people paste to lines: encodings, mail quotes, fences, prompts, wrapping and lost characters undone.

Nothing is interpreted here but the shape of lines. Numbers of lines are those of the text as it was given.
"""

from __future__ import annotations

import html
import itertools
import quopri
import re
from typing import NamedTuple

BDF = r"(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7]"
#: lspci's line for a function: an address, or with -PP a path of them, and something behind it.
HEADER = re.compile(rf"({BDF})((?:/{BDF}|/[01][0-9a-f]\.[0-7])*) (\S.*)")
HEX = re.compile(r"([0-9a-f]{2,3}):((?: [0-9a-f]{2}){1,16})\s*")
#: A line of the tree starts with its lines: ``-[0000:00]-``, `` +-``, `` |  \-``.
TREE = re.compile(r"(?:-\[|-\+-|[ |]*[+\\]-)")
DMESG = re.compile(
    r"(?:<\d+>)?\[ *\d+\.\d{3,6}\]|\[\w{3} \w{3} +\d+ [\d:]+ \d{4}\]|.*\bkernel: |"
    r"(?:pci|pcieport|pci_bus|pci-[a-z]+|[a-z0-9_-]{2,20}) [0-9a-f]{4,8}:[0-9a-f]{2}[:)]"
)
IOMEM = re.compile(r"[0-9a-f]{4,16}-[0-9a-f]{4,16} : \S")
GROUP = re.compile(r"(?:IOMMU )?[Gg]roup:? *(\d{1,6})(?::|\b) *(.*)")
GROUP_PATH = re.compile(rf".*/iommu_groups/(\d{{1,6}})/devices/({BDF})\b.*")
FENCE = re.compile(r"(?:```|~~~)\w*$|\[/?(?:code|CODE|spoiler)[^\]]*\]$")
#: A prompt in front of a command, or the words around it.
PROMPT = re.compile(
    r"(?:[\w.@:~/\[\]() -]*[$#%>] *|\+ )?(?:sudo |doas )?(?:/\S*/)?(?:lspci|dmesg|cat|journalctl|find)\b[^:]*$"
)
NOISE = re.compile(r"pcilib: |lspci: |WARNING: Cannot show hex-dump|[\w.@:~/\[\]() -]*[$#%] *$|logout$|On .* wrote:$")
#: Somebody, or grep, has left lines out here.
CUT = re.compile(
    r"--|[\[(<{]?(?:\.{2,}|…|snip\w*|cut|truncated|skip\w*|omitted)[\])>}]?|-+ ?(?:8<|>8|✂) ?-+", re.IGNORECASE
)
#: How the fields of a function begin, at any indentation.
FIELD = re.compile(
    r"(?:Subsystem|Flags|Control|Status|Latency|Interrupt|NUMA node|IOMMU group|Physical Slot|DeviceName|Bus|"
    r"(?:I/O|Memory|Prefetchable memory) behind bridge|(?:Memory|I/O) window \d|Secondary status|BridgeCtl|Capabilities|"
    r"Kernel driver in use|Driver in use|Kernel modules|Region \d|BIST result|Device tree node|Expansion ROM at|"
    r"(?:\[virtual\] )?Memory at|I/O ports at|16-bit legacy interface ports|BIST is running|!!! |<access denied to|"
    r"ACSCap|ACSCtl|SltCap|BAR \d: current size|IOVCap|IOVCtl|IOVSta|Initial VFs|VF offset|Supported Page Size|"
    r"VF Migration)(?::|[ <]|$)"
)
VMM = re.compile(
    r"(?:Slot|Class|Vendor|Device|SVendor|SDevice|Rev|ProgIf|PhySlot|NUMANode|IOMMUGroup|Driver|Module|DTNode):\t"
)

#: The table of ``nvidia-smi topo -m`` and its legend.
TOPO = re.compile(
    r"(?: +|\t)GPU0(?:\s|$)|(?:GPU|NIC)\d+ +(?:X|SYS|NODE|PHB|PXB|PIX|NV\d+) |Legend:| +(?:X|SYS|NODE|PHB|PXB|PIX|NV#) +="
)

_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-Z0-9])")
_QUOTE = re.compile(r"(?: ?>)+ ?")
#: Characters that show nothing, blanks that are none, and dashes that word processors make.
_INVISIBLE: dict[int, str | None] = {
    **dict.fromkeys((0xFEFF, 0x200B, 0x200C, 0x200D, 0x2060, 0x00AD, 0x200E, 0x200F), None),
    **dict.fromkeys((0x00A0, 0x2007, 0x202F, 0x2009, 0x2002, 0x2003, 0x3000), " "),
    **dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2212), "-"),
    **dict.fromkeys((0x201C, 0x201D), '"'),
}
#: What no quoted-printable text has: there every = is the start of a byte or the end of a line ("subordinate=09" is neither).
_NOT_QP = re.compile(r"=(?![0-9A-F]{2}|$)", re.MULTILINE)
_QP = re.compile(r"=(?:C2=A0|20|09|3D|E2=80=[0-9A-F]{2})|=$", re.MULTILINE)
#: What other tools put before each line: numbers, marks of a diff, a list or a table, a log's date, host and program.
_PREFIXES = (
    re.compile(r"\s*\d+[:|] ?"),
    re.compile(r"\s*\d+(?: {1,2}|$)"),
    re.compile(r"[+-]"),
    re.compile(r"\s*[|*\u2022] ?"),
    re.compile(r"\S+ +\d+ [\d:]+ \S+ [^:]{1,40}:(?: |$)"),
    re.compile(r"\S+T[\d:.,+-]+\S* \S+ [^:]{1,40}:(?: |$)"),
)
#: A line of details that begins with a name.
_LABEL = re.compile(r"[A-Z!<][\w/#.() -]{0,28}(?::|>)|[0-9a-f]{2,3}: |[+-]")
#: Mailers wrap at 72 to 80 columns; a line this long, with the next word, may have been wrapped.
_WRAP_LEAST = 58


class PastedLine(NamedTuple):
    """One line as it was meant, and where it begins in the text as it was given."""

    number: int
    text: str


def decode(data: bytes) -> str:
    """Text of a file in UTF-8 or UTF-16, by byte-order mark or by its zero bytes; bytes that are neither are replaced."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    zeros = data[:2000].count(0)
    if zeros * 4 > len(data[:2000]):
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be", "replace")
    return data.decode("utf-8-sig", "replace")


def lines_of(text: str) -> list[PastedLine]:
    """The lines of a pasted text, tabs expanded, blanks at the end gone."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    numbers: list[int] = []
    if len(_QP.findall(text)) > 2 and not _NOT_QP.search(text):
        text, numbers = _quoted_printable(text)
    if re.search(r"&(?:lt|gt|nbsp|amp|quot|#\d+);", text):
        text = html.unescape(text)
    plain = text.isascii() and "\x1b" not in text
    cleaned = []
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw if plain else _ANSI.sub("", raw.translate(_INVISIBLE))
        if line[:2].lstrip(" ")[:1] == ">" and (quote := _QUOTE.match(line)):
            line = line[quote.end() :]
        flowed = line.endswith(" ")
        cleaned.append((numbers[number - 1] if numbers else number, line.expandtabs(8).rstrip(), flowed))
    empty = sum(not line for _, line, _ in cleaned)
    if empty * 5 > len(cleaned) * 2:  # an empty line after each: they say nothing
        cleaned = [entry for entry in cleaned if entry[1]]
    cleaned = _without_prefix(cleaned)
    base = _base([line for _, line, _ in cleaned])
    return _joined([(number, _dedent(line, base), flowed) for number, line, flowed in cleaned])


def _quoted_printable(text: str) -> tuple[str, list[int]]:
    """Decoded, with the number of the line that each line began on."""
    numbers, at = [], 1
    logical: list[str] = []
    part = ""
    start = 1
    for raw in text.split("\n"):
        line = raw
        if not part:
            start = at
        at += 1
        if line.endswith("="):
            part += line[:-1]
            continue
        logical.append(part + line)
        numbers.append(start)
        part = ""
    if part:
        logical.append(part)
        numbers.append(start)
    decoded = [quopri.decodestring(line.encode("utf-8", "replace")).decode("utf-8", "replace") for line in logical]
    flat = [(number, piece) for number, line in zip(numbers, decoded, strict=True) for piece in line.split("\n")]
    return "\n".join(piece for _, piece in flat), [number for number, _ in flat]


def _without_prefix(lines: list[tuple[int, str, bool]]) -> list[tuple[int, str, bool]]:
    """Where no line names a function: the text without a common prefix of its lines, if some name one then."""
    if any(HEADER.fullmatch(line.lstrip(" ")) or TREE.match(line.lstrip(" ")) for _, line, _ in lines):
        return lines
    best, most = lines, 0
    for prefix in _PREFIXES:
        tried = [(number, prefix.sub("", line, count=1), flowed) for number, line, flowed in lines]
        found = sum(HEADER.fullmatch(line.lstrip(" ")) is not None for _, line, _ in tried)
        if found > most:
            best, most = tried, found
    return best


def _base(lines: list[str]) -> int:
    """How far the whole text is indented: as far as most of the lines that name a function, unless one is further left."""
    found: dict[int, int] = {}
    for line in lines:
        stripped = line.lstrip(" ")
        if HEADER.fullmatch(stripped) or stripped.startswith("-["):
            found[len(line) - len(stripped)] = found.get(len(line) - len(stripped), 0) + 1
    return min(found, default=0)


def _dedent(line: str, base: int) -> str:
    blank = len(line) - len(line.lstrip(" "))
    return line[min(base, blank) :]


def _joined(lines: list[tuple[int, str, bool]]) -> list[PastedLine]:
    """Put the pieces of wrapped lines together: a line that starts nothing, after one that was long enough to be wrapped.

    A terminal wraps at its width and within words: lines of exactly one length, all followed by such pieces, show it.
    """
    found: list[PastedLine] = []
    width = _terminal(lines)
    before, flowed_before, indent_before = 0, False, 0
    for number, line, flowed in lines:
        stripped = line.lstrip(" ")
        indent = len(line) - len(stripped)
        wrapped = flowed_before or before + 1 + len(stripped.split(" ", 1)[0]) > _WRAP_LEAST
        if line and found and found[-1].text and before and wrapped and _piece(stripped, indent, indent_before):
            gap = "" if before + flowed_before == width and not indent and not flowed_before else " "
            found[-1] = PastedLine(found[-1].number, f"{found[-1].text}{gap}{stripped}")
        else:
            found.append(PastedLine(number, line))
            indent_before = indent
        before, flowed_before = len(line), flowed and len(line) > _WRAP_LEAST // 2
    return found


def _piece(stripped: str, indent: int, indent_before: int) -> bool:
    """The line begins nothing: at the left edge, or as far in as the line that it continues."""
    if not indent:
        return not starts(stripped)
    return indent >= indent_before and not _LABEL.match(stripped) and not starts(stripped)


def _terminal(lines: list[tuple[int, str, bool]]) -> int:
    """The width of a terminal that wrapped the text within words; 0 if none did."""
    both = itertools.pairwise(lines)
    pairs = [(len(a) + flowed, b) for (_, a, flowed), (_, b, _) in both if a and b and not starts(b)]
    widest = max((length for length, _ in pairs), default=0)
    whole = sum(length == widest for length, _ in pairs)
    longest = max((len(line) + (flowed and bool(line)) for _, line, flowed in lines), default=0)
    return widest if widest == longest and widest >= _WRAP_LEAST and whole >= 2 and whole * 10 >= len(pairs) * 7 else 0


def starts(line: str) -> bool:
    """The line begins something, and so does not continue the one before it."""
    if line[0] == " " or (line[0] == "-" and TREE.match(line)):
        return True
    kinds = (HEADER, HEX, TREE, DMESG, IOMEM, GROUP, GROUP_PATH, FENCE, PROMPT, NOISE, FIELD, VMM, TOPO)
    return any(kind.match(line) for kind in kinds) or CUT.fullmatch(line) is not None
