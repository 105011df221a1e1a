"""A student's server: ``jupyterhub-singleuser``, started in less than half of the time.

A start is imports, and many of them a student's server never uses:

- Optional packages check the form of addresses and durations in JSON schemas, and one builds a grammar at each import. Jupyter
  checks its own events by such schemas; without the packages it leaves out these checks of form.
- An optional package looks up names without a thread. A student's server looks up one name, the hub's.
- Modules that a server shares with the hub import the hub's database and pages, for the names alone. JupyterLab imports the
  manager that installs extensions, which the classroom's settings turn off.
- Packages for downloads and languages are imported only when somebody asks for what needs them.
- JupyterLab asks Node.js for the package registry, for those who build extensions from their sources. Nobody does here, so it
  gets the answer of a machine without Node.js.
- JupyterLab checks each of its some ninety settings schemas whenever a page loads. They were checked when they were built;
  a student's own settings are still checked.
- A start makes objects and drops few: Python's garbage collector ran some hundred times for nothing.
"""

import gc
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import version
from types import ModuleType
from typing import Any

#: With another JupyterHub the hub's modules are imported as they are: whether a server uses them was read and tried with these.
TRIED = ("6.1.1",)
#: Optional packages that a server does without; whoever imports them goes on as where they are not installed.
OPTIONAL = ("rfc3987_syntax", "rfc3986_validator", "isoduration", "aiodns")
#: What only the hub uses: its database and its pages.
OF_THE_HUB = ("sqlalchemy", "alembic", "jupyterhub.orm", "jupyterhub.roles", "jupyterhub.handlers")
#: JupyterLab's manager of extensions from PyPI: server_config.py asks for the one that only lists them.
TURNED_OFF = ("jupyterlab.extensions.pypi",)
#: What is imported when it is used.
LATER = ("requests", "babel")
#: Objects between two runs of the garbage collector; Python's default is 700.
COLLECT_AFTER = 20_000


class NotHere(type):
    """The kind of a name that a student's server has no use for: it may be named, and not used."""

    def __call__(cls, *_arguments: Any, **_named: Any) -> Any:
        raise RuntimeError(f"{cls.__module__}.{cls.__name__} is left out of a student's server")


class Hollow(ModuleType):
    """A module of which every public name is there, as an exception that nobody raises."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = NotHere(name, (Exception,), {"__module__": self.__name__})
        setattr(self, name, made)
        return made


class Sparing(MetaPathFinder, Loader):
    """Finds hollow modules for what is left out, and real ones that load at their first use for ``LATER``."""

    def __init__(self, hollow: Sequence[str], later: Sequence[str]) -> None:
        self.hollow, self.later = tuple(hollow), tuple(later)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Asked for every import before Python's own finders."""
        if name in self.hollow or name.startswith(tuple(f"{part}." for part in self.hollow)):
            return ModuleSpec(name, self, is_package=True)
        if (
            name in self.later
            and (spec := PathFinder.find_spec(name, path, target)) is not None
            and spec.loader is not None
        ):
            spec.loader = importlib.util.LazyLoader(spec.loader)
            return spec
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """A hollow one."""
        return Hollow(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing in it."""


class CheckedBefore:
    """In place of jsonschema's validator for JupyterLab's settings: the schemas count as checked, settings do not."""

    @staticmethod
    def check_schema(_schema: Any) -> None:
        """Nothing: the schema came with an installed package."""

    def __new__(cls, schema: Any) -> Any:
        """jsonschema's own validator."""
        from jsonschema import Draft7Validator

        return Draft7Validator(schema)


def spare() -> None:
    """From now on imports are as described above."""
    gc.set_threshold(COLLECT_AFTER)
    sys.modules.update(dict.fromkeys(OPTIONAL))  # type: ignore[arg-type]  # None is how Python notes that there is no such module
    of_the_hub = OF_THE_HUB if version("jupyterhub") in TRIED else ()
    sys.meta_path.insert(0, Sparing((*of_the_hub, *TURNED_OFF), LATER))
    from jupyterlab import commands

    if hasattr(commands, "_yarn_config"):
        commands._yarn_config = lambda _logger: {"yarn config": {}, "npm config": {}}
    from jupyterlab_server import settings_utils

    if hasattr(settings_utils, "Validator"):
        settings_utils.Validator = CheckedBefore


if __name__ == "__main__":
    spare()
    from jupyterhub.singleuser import main

    sys.argv[0] = "jupyterhub-singleuser"
    sys.exit(main())
