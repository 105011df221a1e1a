"""What the modules of a package declare, so that a room of many small files need not list them by hand."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def modules(package: ModuleType) -> Iterator[ModuleType]:
    """Every module of a package and of the packages inside it, imported, in the order of their names."""
    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        module = importlib.import_module(found.name)
        yield module
        if found.ispkg:
            yield from modules(module)


def classes(package: ModuleType, base: type[T]) -> list[type[T]]:
    """The subclasses of ``base`` that a package's modules define (not those that they import), in order of definition."""
    return [
        value
        for module in modules(package)
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, base)
        and value is not base
        and value.__module__ == module.__name__
    ]
