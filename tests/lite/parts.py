"""ways/lite/parts.py and ways/lite/build.py as modules: the folder is no package, it is run by an environment of its own."""

from __future__ import annotations

import functools
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

LITE = Path(__file__).parents[2] / "ways" / "lite"


@functools.cache
def parts() -> ModuleType:
    """ways/lite/parts.py."""
    return _module("parts")


@functools.cache
def build() -> ModuleType:
    """ways/lite/build.py."""
    parts()
    return _module("build")


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, LITE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
