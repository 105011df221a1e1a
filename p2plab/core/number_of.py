"""Numbers with their noun, as a sentence has them."""

from __future__ import annotations


def number_of(number: int, thing: str, things: str = "") -> str:
    """The number and its noun; ``things`` is the plural where an *s* does not make it.

    >>> number_of(1, "page"), number_of(0, "page"), number_of(2, "address", "addresses")
    ('1 page', '0 pages', '2 addresses')
    """
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"
