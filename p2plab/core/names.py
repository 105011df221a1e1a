"""What was probably meant by a name that is nearly right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

#: How many names are offered.
OFFERED = 3


def nearest(name: str, names: Iterable[str]) -> str:
    """The end of a sentence that offers the nearest names; empty where none is near.

    >>> nearest("munmpa", ["munmap", "mremap", "fork", "mprotect"])
    '; did you mean munmap or mremap?'
    """
    by_fold = {one.casefold(): one for one in names}
    near = difflib.get_close_matches(name[:60].casefold(), by_fold, n=OFFERED, cutoff=0.45)
    if not near:
        return ""
    *first, last = (by_fold[one] for one in near)
    return f"; did you mean {', '.join(first)}{' or ' if first else ''}{last}?"
