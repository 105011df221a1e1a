"""Interchangeable members: objects of one class that are set up alike, with everything attached to each, and their actors.

A *member* is such an object with its belongings: an importer, say, with its lock and actors. Members of one class may be
permuted in any way. Whatever contains names (values, cells, coroutines, rules' state) is decomposed here into a template
and the members named in it, so that it can be composed again with other members.

That members are set up alike does not prove that code treats them alike (a loop over all importers has an order).
A search by symmetry therefore runs steps with members permuted and compares (:mod:`p2plab.search.symmetry.graph`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import factorial, prod
from typing import Any

from p2plab.core.tracked import Tracked, name_of
from p2plab.search.model import Model
from p2plab.search.objects import CellName

#: For each member, by number, the member that takes its place.
Permutation = tuple[int, ...]
Refs = tuple[int, ...]

_TEXT, _SET = "\0text", "\0set"


class NotSymmetric(Exception):
    """Members that seemed interchangeable are not; the text gives the difference."""


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
            template, refs = self.decompose(frozen)
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
        """No member moves."""
        return tuple(range(len(self)))

    def swaps(self) -> Iterator[Permutation]:
        """Swaps of two neighbours: all permutations are products of these."""
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

    def decompose(self, value: Any) -> tuple[Any, Refs]:
        """A frozen value as a template, and the members named in it, in order."""
        refs: list[int] = []
        return self._template(value, refs, []), tuple(refs)

    def labels(self, value: Any) -> tuple[int, ...]:
        """For each member named in a value, its place: the same for equal parts of a set."""
        labels: list[int] = []
        self._template(value, [], labels)
        return tuple(labels)

    def compose(self, template: Any, refs: Iterable[int]) -> Any:
        """The reverse."""
        return self._instance(template, iter(refs))

    def renamed(self, value: Any, places: Permutation) -> Any:
        """A frozen value with its members permuted."""
        template, refs = self.decompose(value)
        return self.compose(template, [places[ref] for ref in refs]) if refs else value

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


# -- finding them ---------------------------------------------------------------------------------------------------------

#: Maximum size of an orbit: sizes are added up in 64 bits.
MOST_PERMUTATIONS = 1 << 40
#: Larger groups of equal objects are ignored.
MOST_MEMBERS = 24


def interchangeable(model: Model) -> Iterator[tuple[Symmetry, frozenset[CellName]]]:
    """The symmetries of a scene, as far as its set-up shows them: all classes together, then each alone.

    With each, the cells that name its members in an order.
    """
    columns, monitors = model.columns, model.monitors
    cells, actors = columns.at_setup, {name: columns.frozen(number, 0) for number, name in enumerate(columns.actors)}
    classes = classes_of(model.recorder.make().objects, cells, actors)
    for some in (classes, *([one] for one in classes if len(classes) > 1)):
        symmetry = Symmetry(some, actors)
        ordered = _unchanged(symmetry, cells, actors)
        told = symmetry.decompose(monitors.frozen(model.initial[columns.memory]))[1]  # by set-up, to the rules
        if some and ordered is not None and not told and symmetry.order <= MOST_PERMUTATIONS:
            yield symmetry, ordered


def classes_of(objects: Sequence[Tracked], cells: Mapping[CellName, Any], actors: Mapping[str, Any]) -> list[Class]:
    """The members that are set up alike. ``cells`` and ``actors``: all of them, frozen."""
    by_object: dict[str, dict[str, Any]] = {name_of(thing): {} for thing in objects}
    for (name, attribute), value in cells.items():
        by_object[name][attribute] = value
    kinds: dict[tuple[str, tuple[tuple[str, str], ...]], list[str]] = {}
    for thing in objects:
        name = name_of(thing)
        looks = tuple(sorted((cell, _look(value)) for cell, value in by_object[name].items()))
        kinds.setdefault((type(thing).__qualname__, looks), []).append(name)
    candidates = [
        found
        for (kind, _), names in kinds.items()
        if 1 < len(names) <= MOST_MEMBERS
        for found in _alike(kind, names, by_object)
    ]
    accepted: list[Class] = []
    used: set[str] = set()
    for candidate in sorted(candidates, key=lambda found: -len(found.members[0])):
        names = {name for member in candidate.members for name in member}
        if used.isdisjoint(names) and _unchanged(Symmetry([candidate], actors), cells, actors) is not None:
            accepted.append(candidate)
            used |= names
    return accepted


def _look(value: Any) -> str:
    """The part of a value that is the same for all members: numbers as they are, and for names only that they are names."""
    return type(value).__name__ if type(value) in (str, tuple, frozenset) else repr(value)


def _alike(kind: str, names: Sequence[str], by_object: Mapping[str, Mapping[str, Any]]) -> list[Class]:
    """The objects of one class, sorted into those that are set up alike."""
    classes: list[Class] = []
    for name in names:
        for found in classes:
            swap = _Swap(by_object)
            if swap.pair(found.members[0][0], name):
                if len(found.members) == 1:
                    found.members[0] = tuple(swap.moved)
                if tuple(swap.moved) == found.members[0]:
                    found.members.append(tuple(swap.to[word] for word in swap.moved))
                    break
        else:
            classes.append(Class(kind, [(name,)]))
    return [found for found in classes if len(found.members) > 1 and _apart(found.members)]


def _apart(members: Sequence[Sequence[str]]) -> bool:
    """Whether no word belongs to two members."""
    words = [word for member in members for word in member]
    return len(words) == len(set(words))


class _Swap:
    """Swap two objects: everything attached to one must correspond to something attached to the other."""

    def __init__(self, by_object: Mapping[str, Mapping[str, Any]]) -> None:
        self.by_object = by_object
        self.to: dict[str, str] = {}
        self.moved: list[str] = []  #: the words on the first object's side, itself first

    def pair(self, one: str, other: str) -> bool:
        """Whether one object can take the other's place."""
        if one in self.to or other in self.to:
            return self.to.get(one) == other
        self._note(one, other)
        if one == other:
            return True
        cells, others = self.by_object.get(one, {}), self.by_object.get(other, {})
        return cells.keys() == others.keys() and all(self._same(cells[name], others[name]) for name in cells)

    def _note(self, one: str, other: str) -> None:
        self.to[one], self.to[other] = other, one
        if one != other:
            self.moved.append(one)

    def _same(self, one: Any, other: Any) -> bool:
        if type(one) is not type(other):
            return False
        if type(one) is tuple:
            if one[:1] == other[:1] == ("object",):
                return self.pair(one[1], other[1])
            return len(one) == len(other) and all(map(self._same, one, other))
        if type(one) is str and one != other:
            if one not in self.to and other not in self.to:
                self._note(one, other)
            one, other = self.to.get(one), other
        equal: bool = one == other
        return equal


def _unchanged(
    symmetry: Symmetry, cells: Mapping[CellName, Any], actors: Mapping[str, Any]
) -> frozenset[CellName] | None:
    """The cells in which an order differs after a swap, if nothing else does; None if something does."""
    ordered: set[CellName] = set()
    try:
        for places in symmetry.swaps():
            for name, frozen in actors.items():
                if actors.get(symmetry.renamed(name, places), _NOBODY) != symmetry.renamed(frozen, places):
                    return None
            for cell, frozen in cells.items():
                there, image = cells.get(symmetry.cell(cell, places)), symmetry.renamed(frozen, places)
                if there != image:
                    if _loose(symmetry, there) != _loose(symmetry, image):
                        return None
                    ordered |= {cell, symmetry.cell(cell, places)}
    except NotSymmetric:
        return None
    return frozenset(ordered)


def _loose(symmetry: Symmetry, value: Any) -> Any:
    """A value without the order in which it names members."""
    if type(value) is tuple and symmetry.decompose(value)[1]:
        return tuple(sorted(repr(_loose(symmetry, item)) for item in value))
    return value


_NOBODY = object()
