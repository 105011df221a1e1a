"""Who can change places: objects of one class that are set up alike, with all that hangs on each, and the actors of each.

A *member* is such an object with its own: an importer, say, its lock, its actors. Members of one class may change places
in any way. Whatever is made of names (values, cells, coroutines, rules' memory) is taken apart here into a template and
the members named in it, so that it can be put together again with others in their places.

That members are set up alike does not prove that code treats them alike (a loop over all importers has an order).
Whoever searches by symmetry therefore runs steps in two places and compares (``symmetric.py``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import factorial, prod
from typing import Any

from p2plab.search.freeze import CellName

#: For each member, by number, the member that takes its place.
Permutation = tuple[int, ...]
Refs = tuple[int, ...]

_TEXT, _SET = "\0text", "\0set"


class NotSymmetric(Exception):
    """Members that seemed interchangeable are not; the text says what gave it away."""


class Class:
    """Interchangeable objects: for each member the names that belong to it, in corresponding order."""

    def __init__(self, title: str, members: Sequence[Sequence[str]]) -> None:
        self.title = title
        self.members = [tuple(names) for names in members]


class Symmetry:
    """The classes of a scene, and the words that name members."""

    def __init__(self, classes: Sequence[Class], actors: Mapping[str, Any]) -> None:
        """``actors``: by name what each is about to do after set-up, frozen."""
        self.classes = list(classes)
        self.title = [kind.title for kind in classes for _ in kind.members]  #: of each member
        self.blocks: list[tuple[int, int]] = []  #: of each class: its first member, and the one after its last
        self._members_of: dict[str, tuple[Any, Refs]] = {}
        self._word_of: dict[tuple[Any, Refs], str] = {}
        for number, kind in enumerate(classes):
            first = self.blocks[-1][1] if self.blocks else 0
            self.blocks.append((first, first + len(kind.members)))
            for at, names in enumerate(kind.members):
                for place, name in enumerate(names):
                    self._add((number, place), (first + at,), name)
        self._compile()
        seen: dict[Any, int] = {}
        for name, frozen in actors.items():
            template, refs = self.taken_apart(frozen)
            if refs:
                number = seen[template, refs] = seen.get((template, refs), -1) + 1
                self._add((template, number), tuple(dict.fromkeys(refs)), name)
        self._compile()

    def __len__(self) -> int:
        """How many members there are."""
        return self.blocks[-1][1] if self.blocks else 0

    @property
    def order(self) -> int:
        """The number of permutations."""
        return prod(factorial(last - first) for first, last in self.blocks)

    @property
    def identity(self) -> Permutation:
        """Everybody stays."""
        return tuple(range(len(self)))

    def swaps(self) -> Iterator[Permutation]:
        """Two neighbours change places: of these all permutations are made."""
        for first, last in self.blocks:
            for member in range(first, last - 1):
                swapped = list(range(len(self)))
                swapped[member], swapped[member + 1] = member + 1, member
                yield tuple(swapped)

    def shuffled(self, random: Callable[[], float]) -> Permutation:
        """Some permutation other than the identity."""
        while True:
            places = list(range(len(self)))
            for first, last in self.blocks:
                places[first:last] = sorted(places[first:last], key=lambda _: random())
            if tuple(places) != self.identity:
                return tuple(places)

    # -- words ------------------------------------------------------------------------------------------------------

    def taken_apart(self, value: Any) -> tuple[Any, Refs]:
        """A frozen value as a template, and the members named in it, in order."""
        refs: list[int] = []
        return self._template(value, refs, []), tuple(refs)

    def labels(self, value: Any) -> tuple[int, ...]:
        """For each member named in a value the place in which it is: the same for parts of a set that are alike."""
        labels: list[int] = []
        self._template(value, [], labels)
        return tuple(labels)

    def put_together(self, template: Any, refs: Iterable[int]) -> Any:
        """The reverse."""
        return self._instance(template, iter(refs))

    def renamed(self, value: Any, places: Permutation) -> Any:
        """A frozen value with others in the places of the members."""
        template, refs = self.taken_apart(value)
        return self.put_together(template, [places[ref] for ref in refs]) if refs else value

    def cell(self, cell: CellName, places: Permutation) -> CellName:
        """The cell that corresponds to one."""
        return self.renamed(cell[0], places), cell[1]

    def names(self, text: str) -> bool:
        """Whether a text names a member."""
        return self._pattern is not None and self._pattern.search(text) is not None

    # -- inside -----------------------------------------------------------------------------------------------------

    def _add(self, kind: Any, refs: Refs, word: str) -> None:
        self._members_of[word] = kind, refs
        self._word_of[kind, refs] = word

    def _compile(self) -> None:
        words = sorted(self._members_of, key=len, reverse=True)
        pattern = "|".join(map(re.escape, words))
        self._pattern = re.compile(rf"(?<!\w)(?:{pattern})(?!\w)") if words else None
        self._texts: dict[str, tuple[Any, Refs]] = {}

    def _template(self, value: Any, refs: list[int], labels: list[int]) -> Any:
        kind = type(value)
        if kind is str:
            template, found = self._texts.get(value) or self._text(value)
            labels += range(len(refs), len(refs) + len(found))
            refs += found
            return template
        if kind is tuple:
            return tuple([self._template(item, refs, labels) for item in value])
        if kind is frozenset:
            parts = sorted(map(self._part, value), key=lambda part: (repr(part[0]), part[1]))
            first, before = len(refs), None
            for template, named, places in parts:
                first, before = (len(refs), template) if template != before else (first, before)
                refs += named
                labels += [first + place for place in places]
            return (_SET, *(template for template, _, _ in parts))
        return value

    def _part(self, value: Any) -> tuple[Any, list[int], list[int]]:
        refs: list[int] = []
        labels: list[int] = []
        return self._template(value, refs, labels), refs, labels

    def _text(self, text: str) -> tuple[Any, Refs]:
        pieces: list[Any] = []
        refs: list[int] = []
        end = 0
        for match in self._pattern.finditer(text) if self._pattern is not None else ():
            kind, found = self._members_of[match[0]]
            pieces += [text[end : match.start()], (kind, len(found))]
            refs += found
            end = match.end()
        made = (((_TEXT, *pieces, text[end:]) if pieces else text), tuple(refs))
        self._texts[text] = made
        return made

    def _instance(self, template: Any, refs: Iterator[int]) -> Any:
        if type(template) is not tuple:
            return template
        if template[:1] == (_TEXT,):
            pieces = [
                piece if type(piece) is str else self._word(piece[0], tuple(next(refs) for _ in range(piece[1])))
                for piece in template[1:]
            ]
            return "".join(pieces)
        if template[:1] == (_SET,):
            return frozenset(self._instance(item, refs) for item in template[1:])
        return tuple([self._instance(item, refs) for item in template])

    def _word(self, kind: Any, refs: Refs) -> str:
        word = self._word_of.get((kind, refs))
        if word is None:
            raise NotSymmetric("no actor corresponds to another")
        return word
