"""``p2plab lab [FOLDER]``: the course's notebooks in your folder, opened in JupyterLab."""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from p2plab import __version__
from p2plab.cli.frame import number, print_json, write, write_bytes
from p2plab.core.errors import BadInput, NotInstalled
from p2plab.core.places import course

FOLDER = Path("p2plab-course")
FIRST = "notebooks/00-start-here.ipynb"
#: The files put into the folder, each with its digest: a file that differs was changed by a person.
NOTE = ".p2plab-course.json"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    command = commands.add_parser("lab", help="open the course's notebooks in JupyterLab")
    command.add_argument(
        "folder", nargs="?", type=Path, default=FOLDER, help=f"where to copy them (default {FOLDER}); yours are kept"
    )
    command.add_argument("--copy", action="store_true", help="copy the files and do not start JupyterLab")
    command.add_argument("--no-browser", action="store_true", help="start JupyterLab and open no window")
    command.add_argument("--port", type=number, metavar="N", help="JupyterLab's port (default: the first free one)")
    command.add_argument("--json", action="store_true", help="with --copy: print what was copied as one JSON object")
    command.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit 0; JupyterLab's status once it has ended; 2 where the folder cannot be used or JupyterLab is not installed."""
    if arguments.json and not arguments.copy:
        raise BadInput("--json needs --copy: JupyterLab's own output is not JSON")
    if not arguments.copy and importlib.util.find_spec("jupyterlab") is None:
        raise NotInstalled("the notebooks", "jupyterlab")
    copied = copy(course(), arguments.folder)
    if arguments.json:
        print_json("lab", copied.as_json(arguments.folder))
    else:
        print("\n".join(copied.lines(arguments.folder)), flush=True)
    return 0 if arguments.copy else _jupyter(arguments)


@dataclass
class Copied:
    """What happened to each file of the course."""

    new: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)  #: changed by a person: left as they are

    def lines(self, folder: Path) -> list[str]:
        """For people."""
        said = [f"{folder}: {len(self.new)} files copied, {len(self.updated)} brought up to date"]
        if self.kept:
            said.append(f"left as you changed them: {', '.join(self.kept)}")
        return said

    def as_json(self, folder: Path) -> dict[str, object]:
        """For programs."""
        lists = {"copied": self.new, "updated": self.updated, "unchanged": self.same, "kept": self.kept}
        return {"folder": str(folder), "first": str(folder / FIRST), **lists}


def copy(files: Mapping[str, Path], folder: Path) -> Copied:
    """Copy the course; files that a person changed or added stay. :exc:`BadInput` if that is not possible."""
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file; name a folder")
    before = _note(folder / NOTE)
    done, note = Copied(), dict(before)
    for name, file in files.items():
        data, target = file.read_bytes(), folder / name
        digest = hashlib.sha256(data).hexdigest()
        try:
            there = hashlib.sha256(target.read_bytes()).hexdigest() if target.exists() else ""
            if there == digest:
                done.same.append(name)
            elif there and there != before.get(name):
                done.kept.append(name)
                continue
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                write_bytes(target, data)
                (done.updated if there else done.new).append(name)
        except OSError as error:
            raise BadInput(f"{target} cannot be written: {error.strerror}") from error
        note[name] = digest
    write(folder / NOTE, json.dumps({"version": __version__, "files": note}, indent=1))
    return done


def _note(file: Path) -> dict[str, str]:
    """The record of an earlier copy; empty if there is none or it cannot be read: then all files count as a person's."""
    try:
        files = json.loads(file.read_text(encoding="utf-8"))["files"]
        return {str(name): str(digest) for name, digest in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _jupyter(arguments: argparse.Namespace) -> int:
    """JupyterLab on the whole folder, so that links from a notebook to a document work; its exit status."""
    folder = arguments.folder.resolve()
    words = [sys.executable, "-m", "jupyterlab", str(folder / FIRST), f"--ServerApp.root_dir={folder}"]
    words += ["--no-browser"] if arguments.no_browser else []
    words += [f"--port={arguments.port}"] if arguments.port is not None else []
    words += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    return subprocess.run(words, check=False).returncode
