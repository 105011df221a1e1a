"""One way in for every kind of source: a recording, lspci's text, a sysfs directory, a recorded machine's name."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from typing import TextIO

from p2plab.core.errors import BadInput
from p2plab.core.places import assets, recorded_machines
from p2plab.pci.lspci import MAX_CHARACTERS, read_lspci
from p2plab.pci.machine import Machine
from p2plab.pci.recording import read_recording
from p2plab.pci.sysfs import read_sysfs


def read_machine(source: str, stdin: TextIO | None = None, *, pipes: bool = False) -> Machine:
    """The machine of ``-`` (standard input), a directory, a file, or a recorded machine's name. Raises BadInput.

    ``pipes``: a named pipe or ``/dev/stdin`` is read as well, which may wait for its writer.
    """
    if source == "-":
        reader = stdin or sys.stdin
        if reader is None:
            raise BadInput("standard input is closed")
        try:
            text = reader.read(MAX_CHARACTERS + 1)
        except UnicodeDecodeError as error:
            raise BadInput(f"standard input: not text at byte {error.start}") from error
        return read_text(text, "standard input")
    path = Path(source)
    try:
        if path.is_dir():
            return read_sysfs(path)
        if path.is_file() or (pipes and _is_pipe(path)):
            return _file(path)
    except (OSError, ValueError) as error:
        if not isinstance(error, OSError):
            raise BadInput(f"{source[:80]!r} cannot be the name of a file") from None
        raise BadInput(f"{source[:80]}: {error.strerror or error}") from error
    found = _recorded().get(source)
    if found is None:
        names = ", ".join(sorted(_recorded()))
        raise BadInput(f"{source[:80]!r} is not a file, a directory or a recorded machine; recorded: {names or 'none'}")
    return read_recording(found)


def read_text(text: str, name: str) -> Machine:
    """The machine of a text: a recording's JSON, or what lspci printed."""
    if text.lstrip()[:1] != "{":
        return read_lspci(text, name)
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadInput(f"{name}: line {error.lineno}: not JSON: {error.msg}") from error
    except (RecursionError, ValueError) as error:
        raise BadInput(f"{name}: not usable as JSON: {type(error).__name__}") from error
    return read_recording(data)


def _file(path: Path) -> Machine:
    if path.suffix == ".json":
        return read_recording(path)
    with path.open(encoding="utf-8", errors="replace") as file:
        text = file.read(MAX_CHARACTERS + 1)
    try:
        return read_text(text, path.name)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error


def _is_pipe(path: Path) -> bool:
    """``<(lspci -vvv)``, ``/dev/stdin``: what can be read from its beginning to its end, once."""
    mode = path.stat().st_mode if path.exists() else 0
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def _recorded() -> dict[str, Path]:
    """Recorded machines by name; those with verdicts (``q35_switch1.intel``) after the plain ones."""
    verdicts = (assets() / "recordings" / "p2pdma").glob("*_*.*.json")
    return recorded_machines() | {path.stem: path for path in sorted(verdicts)}
