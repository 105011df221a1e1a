"""How every command ends: each way has its own status and sentence, and 1 means only that a rule broke.

Standard output is written through :class:`_Output`: a full disk, a reader that went away and a terminal that cannot show a
character are recorded instead of raised, so that a command finishes and reports its result. Control characters
of device names, knobs and hand-ins are written as text, and never reach a terminal.
"""

from __future__ import annotations

import argparse
import codecs
import contextlib
import errno
import io
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from p2plab.core.errors import BadInput, NotKnown, P2PError
from p2plab.core.kernels import NAMES, TODAY
from p2plab.core.plain import plain

#: The exit statuses of all commands; docs/terminal.md has the table.
OK, BROKEN, BAD_INPUT, NOT_DECIDED, NOT_WRITTEN, MISTAKE = 0, 1, 2, 3, 4, 70
#: The shell's statuses for a program ended by Ctrl-C, and for one whose reader went away.
INTERRUPTED, CLOSED = 130, 141
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_ANSWERS = {OK: "nothing is broken", BROKEN: "a rule broke", NOT_DECIDED: "not decided"}

#: The version of what ``--json`` prints; the schemas of this version are in p2plab/cli/schemas.
SCHEMA = 1

_PLAIN = {"…": "...", "→": "->", "←": "<-", "×": "x", "–": "-", "—": "-", "±": "+-", "’": "'", "“": '"', "”": '"'}


def say(sentence: str) -> None:
    """A line on standard error; nothing if that cannot be written either."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(plain(f"p2plab: {sentence}"), file=sys.stderr, flush=True)


def knobs_of(words: Sequence[str]) -> dict[str, str]:
    """What ``--knob NAME=VALUE`` gave, by name."""
    pairs = [word.partition("=") for word in words]
    if bad := next((name for name, equals, _ in pairs if not equals), ""):
        raise BadInput(f"--knob {bad[:40]}: write NAME=VALUE")
    return {name: value for name, _, value in pairs}


def print_json(kind: str, value: Mapping[str, object], indent: int | None = 1) -> None:
    """Print the answer of ``--json``: its first field names its schema (``run/1``)."""
    print(json.dumps({"schema": f"{kind}/{SCHEMA}", **value}, indent=indent))


def number(text: str) -> int:
    """A whole number as an argument, in ASCII digits (Python's ``int`` would also take those of other scripts)."""
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a whole number")
    return int(text)


def typed(most: int = 100_000) -> str:
    """What is on standard input, up to ``most`` characters. BadInput where it is closed or no text."""
    if sys.stdin is None:
        raise BadInput("standard input is closed")
    try:
        return sys.stdin.read(most)
    except UnicodeDecodeError as error:
        raise BadInput(f"standard input: not text at byte {error.start}") from error


class NotWritten(P2PError):
    """The disk has no room for a file that was asked for."""


def write(path: Path, text: str) -> None:
    """Write a text file, as :func:`write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file, all of it or nothing. :exc:`BadInput` says why not; :exc:`NotWritten` means that there is no room."""
    try:
        if path.exists() and not path.is_file():  # a device, a pipe
            path.write_bytes(data)
            return
        target = path.resolve()
        beside = target.with_name(f".{target.name[:200]}.{os.getpid()}")
        try:
            beside.write_bytes(data)
            beside.replace(target)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as error:
        kind = NotWritten if isinstance(error, OSError) and error.errno in _NO_ROOM else BadInput
        raise kind(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}") from None


#: What stands out on a terminal: verdicts, and the rows where another actor takes over.
_COLOURS = (
    (re.compile(r"^BROKEN: [\w-]+|\bBREAKS\b|\bMISSED\b|^BAD(?= )", re.M), "1;31"),
    (re.compile(r"^all rules held|\bHOLDS\b|^ok(?= )", re.M), "1;32"),
    (re.compile(r"\bNOT DECIDED\b|^PRICE: [\w-]+|^note(?= )", re.M), "1;33"),
    (re.compile(r"^---- .*$", re.M), "2"),
)


def wants_colours(terminal: bool) -> bool:
    """Whether output is coloured: on a terminal, unless NO_COLOR is set or the terminal is dumb; FORCE_COLOR: always."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (terminal and os.environ.get("TERM") != "dumb")


def coloured(text: str) -> str:
    """Text with its verdicts in colour; colour carries no information of its own."""
    for pattern, code in _COLOURS:
        text = pattern.sub(f"\x1b[{code}m\\g<0>\x1b[0m", text)
    return text


def is_no_room(error: OSError) -> bool:
    """Whether the error means that a disk is full or a limit reached."""
    return error.errno in _NO_ROOM


def framed(work: Callable[[], int]) -> int:
    """Do a command's work; its exit status, or that of what interrupted it, with a sentence on standard error."""
    output = _Output.of(sys.stdout)
    if output is None:
        return _done(work)
    before, sys.stdout = sys.stdout, output
    try:
        status = _done(work)
        return output.end(status)
    finally:
        sys.stdout = before


def copied(work: Callable[[], int]) -> int:
    """As :func:`framed`, in a copy of the process that ends afterwards."""
    status = _done(work)
    if isinstance(sys.stdout, _Output):
        return sys.stdout.end(status)
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    return status


def write_to(descriptor: int) -> None:
    """Send standard output to another file descriptor from now on."""
    sys.stdout.flush()
    if isinstance(sys.stdout, _Output):
        sys.stdout.raw_.descriptor = descriptor
    else:
        sys.stdout = open(descriptor, "w", encoding=sys.stdout.encoding, closefd=False)  # noqa: SIM115


def is_own_output() -> bool:
    """Whether what is printed goes to this process's own standard output, and not to a notebook or a test."""
    try:
        return sys.stdout is not None and sys.stdout.fileno() == 1
    except (OSError, ValueError, AttributeError):
        return False


def _done(work: Callable[[], int]) -> int:
    try:
        return work()
    except SystemExit as left:  # argparse: --help, or words that it does not know
        return left.code if isinstance(left.code, int) else BAD_INPUT if left.code else OK
    except P2PError as error:
        say(str(error))
        return (
            NOT_WRITTEN if isinstance(error, NotWritten) else NOT_DECIDED if isinstance(error, NotKnown) else BAD_INPUT
        )
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    except ModuleNotFoundError as missing:
        if (missing.name or "p2plab").partition(".")[0] == "p2plab":
            return _mistake()
        say(f"this needs {missing.name}, which is not installed here: pip install 'p2plab[lab]'")
        return BAD_INPUT
    except OSError as error:  # one of p2plab's own files, such as a temporary one
        if error.errno not in _NO_ROOM:
            return _mistake()
        say(f"this machine has no room to work in: {error.strerror}")
        return NOT_WRITTEN
    except Exception:  # noqa: BLE001  Python's own status for it, 1, would say that a rule broke
        return _mistake()


def _mistake() -> int:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(plain(traceback.format_exc()))
    say("this is a mistake in p2plab and no answer; please report it with the lines above")
    return MISTAKE


class _Raw(io.RawIOBase):
    """A file descriptor that keeps its first error; what is written later is discarded."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return os.isatty(self.descriptor)

    def fileno(self) -> int:
        return self.descriptor

    def write(self, data: Any) -> int:
        if self.error is None:
            try:
                return os.write(self.descriptor, data)
            except OSError as error:
                self.error = error
        return len(data)


class _Output(io.TextIOWrapper):
    """Standard output as :mod:`this module <p2plab.cli.frame>` says."""

    def __init__(self, raw: _Raw, encoding: str) -> None:
        self.raw_, self.unshown = raw, False
        self.colours = wants_colours(raw.isatty())
        codecs.register_error("p2plab", self._show_otherwise)
        super().__init__(
            io.BufferedWriter(raw), encoding, "p2plab", newline="\n", line_buffering=raw.isatty(), write_through=False
        )

    @classmethod
    def of(cls, stream: TextIO | None) -> _Output | None:
        """Installed instead of Python's own; None if that was replaced already."""
        if stream is None:
            return cls(_Raw(-1), "utf-8")
        if stream is not sys.__stdout__ or not isinstance(stream, io.TextIOWrapper) or isinstance(stream, cls):
            return None
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
            return cls(_Raw(stream.fileno()), stream.encoding)
        return None

    def write(self, text: str) -> int:
        shown = text if text.isascii() and text.isprintable() else plain(text)
        return super().write(coloured(shown) if self.colours else shown)

    def end(self, status: int) -> int:
        """The status of the command, once all that can be written is written."""
        self.flush()
        error = self.raw_.error
        if error is not None:
            answer = f"; the answer is {status}: {_ANSWERS[status]}" if status in _ANSWERS else ""
            if error.errno == errno.EPIPE:
                say(f"the reader of the output went away before its end{answer}")
                status = CLOSED
            else:
                say(f"the output cannot be written: {error.strerror}{answer}")
                status = NOT_WRITTEN
            self._let_go()
        elif self.unshown:
            say(f"this terminal takes {self.encoding} only: characters that it does not have are written in others")
        self.detach()
        return status

    def _let_go(self) -> None:
        """At its end Python writes what is still buffered; from now on that is discarded."""
        with contextlib.suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            if self.raw_.descriptor not in (-1, nowhere):
                os.dup2(nowhere, self.raw_.descriptor)
                os.close(nowhere)

    def _show_otherwise(self, error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeEncodeError)
        self.unshown |= not self.encoding.lower().startswith("utf")
        found = error.object[error.start : error.end]
        return "".join(
            _PLAIN.get(letter) or letter.encode("ascii", "backslashreplace").decode() for letter in found
        ), error.end


def kernel_option(command: argparse.ArgumentParser, what: str, default: str | None = TODAY) -> None:
    """Declare ``--kernel NAME``; ``default`` is ``None`` where the command must see whether it was given."""
    unless = f" (default {default}, today's)" if default else ""
    command.add_argument("--kernel", metavar="NAME", default=default, help=f"{what}: {', '.join(NAMES)}{unless}")
