"""Text from outside (device names, knobs, hand-ins) made harmless for terminals and spreadsheets."""

from __future__ import annotations

import re

#: All but tab and line end; marks that reverse text; a carriage return without a line feed.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]|\r(?!\n)")


def plain(text: str) -> str:
    """The text with control characters written as ``\\x1b``: so that a terminal shows them instead of obeying.

    >>> print(plain("a\\x1b[2Kb"))
    a\\x1b[2Kb
    """
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def storable(text: str) -> str:
    """Text that any file can hold: a lone surrogate, or a byte of a name that is no character, is written as ``\\udc80``.

    >>> storable("caf\\udce9")
    'caf\\\\udce9'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
