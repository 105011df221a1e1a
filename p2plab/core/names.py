"""What a misspelt name probably meant."""

from __future__ import annotations

from collections.abc import Collection

#: How many near names are offered, and up to how many names a sentence lists them all.
OFFERED, LISTED = 3, 12
#: Up to how many a sentence lists them where none is near.
LISTED_ALL = 60


def nearest(name: str, names: Collection[str]) -> str:
    """The nearest names as the end of a sentence; empty where none is near.

    >>> nearest("munmpa", ["munmap", "mremap", "fork", "mprotect"])
    '; did you mean munmap or mremap?'
    """
    by_fold = {one.casefold(): one for one in names}
    import difflib  # where it is needed: it takes a while

    near = difflib.get_close_matches(name[:60].casefold(), by_fold, n=OFFERED, cutoff=0.45)
    if not near:
        return ""
    *first, last = (by_fold[one] for one in near)
    return f"; did you mean {', '.join(first)}{' or ' if first else ''}{last}?"


def unknown(what: str, name: str, names: Collection[str], listed: str = "") -> str:
    """A sentence for an unknown name: the three nearest, and all where they are few; ``listed`` names what lists them.

    >>> unknown("kernel", "6.11", ["6.1", "6.12"])
    "there is no kernel '6.11'; there are 6.1, 6.12; did you mean 6.1 or 6.12?"
    """
    near = nearest(name, names)
    if len(names) <= (LISTED if near else LISTED_ALL) or not listed:
        return f"there is no {what} {name[:60]!r}; there are {', '.join(names) or 'none'}{near}"
    return f"there is no {what} {name[:60]!r}{near}{' ' if near else '; '}{listed} lists them"
