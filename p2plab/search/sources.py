"""The owner of code, and its line: a reader's own, p2plab's or a library's."""

from __future__ import annotations

import dis
import functools
import os
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

OURS = str(Path(__file__).parents[1]) + os.sep


class Place(NamedTuple):
    """A line of code."""

    function: str
    line: int
    file: str

    def __str__(self) -> str:
        return f"line {self.line} of {self.file} ({self.function})" if self.line else f"{self.function} of {self.file}"


@functools.cache
def library() -> tuple[str, ...]:
    """Where Python's library and the installed packages are, those in a folder of ``PYTHONPATH`` too."""
    import sysconfig  # where it is needed: it takes a while to import

    paths = {path + os.sep for name, path in sysconfig.get_paths().items() if name.endswith(("stdlib", "lib"))}
    installed = {str(Path(path)) + os.sep for path in sys.path if path and any(Path(path).glob("*.dist-info"))}
    return tuple(paths | installed | {str(Path(os.__file__).parent) + os.sep, "<frozen"})


def is_yours(filename: str) -> bool:
    """Whether code is a reader's own: neither p2plab's nor a library's."""
    return not filename.startswith((OURS, *library())) and "dist-packages" not in filename


def codes_in(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            yield from codes_in(part)


def line_of_op(op: dis.Instruction) -> int | None:
    """The line on which an instruction begins one; None for the others. (Its name changed in Python 3.13.)"""
    number = getattr(op, "line_number", None) or op.starts_line
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def is_ours(module: str) -> bool:
    return module == "p2plab" or module.startswith("p2plab.")


def is_yours_class(kind: type) -> bool:
    module = kind.__module__
    if module == "builtins" or is_ours(module):
        return False
    if module == "__main__":
        return True
    found = sys.modules.get(module)
    if found is None:
        return True
    return is_yours(getattr(found, "__file__", None) or "<frozen")


def world_of(build: Callable[..., Any]) -> Iterable[Any]:
    """The root that a scene's build function is, if it is a reader's own."""
    function = getattr(build, "__func__", build)
    code = getattr(function, "__code__", None)
    return [function] if code is not None and is_yours(code.co_filename) else []
