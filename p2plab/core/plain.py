"""Text of others (device names, knobs, hand-ins) as text: nothing in it is obeyed by a terminal or a spreadsheet."""

from __future__ import annotations

import re

#: All but tab and line end; marks that turn text around; a carriage return that no line feed follows.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]|\r(?!\n)")


def plain(text: str) -> str:
    """The text with control characters written as ``\\x1b``: a terminal shows them and does not obey.

    >>> print(plain("a\\x1b[2Kb"))
    a\\x1b[2Kb
    """
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def storable(text: str) -> str:
    """Text that any file can hold: half of a pair, or a byte of a name that is no character, is written as ``\\udc80``.

    >>> storable("caf\\udce9")
    'caf\\\\udce9'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
