"""Stand-ins for numpy, Pillow and PyYAML: names to compare with, of which there is never a value.

Bokeh imports the three at its start, for arrays, pictures and theme files. p2plab's figures are fed with lists, so none of
the three is ever used; they have no wheel for the browser that could be put into the site. The site's copy of Bokeh imports
its names from here (build.py puts this file into it); whoever else asks for numpy is told, rightly, that there is none.
"""

from __future__ import annotations

from typing import Any


class _Kind(type):
    """A type without values; its members are of the same sort."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = _Kind(name, (), {"__init__": lambda self, *given: None})
        setattr(cls, name, made)
        return made


class numpy(metaclass=_Kind):
    """Bokeh asks whether a value is one of numpy's: it never is."""

    @staticmethod
    def issubdtype(_kind: object, _other: object) -> bool:
        """Never."""
        return False


class PIL(metaclass=_Kind):
    """No picture is ever made."""


class yaml(metaclass=_Kind):
    """No theme file is ever read."""
