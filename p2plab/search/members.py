"""Finding who can change places: objects that are set up alike, with all that hangs on each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from p2plab.core.tracked import Tracked, name_of
from p2plab.search.freeze import CellName
from p2plab.search.graph import StateGraph
from p2plab.search.symmetry import Class, NotSymmetric, Symmetry

#: Orbits may be this large: their sizes are added up in 64 bits.
MOST_PERMUTATIONS = 1 << 40
#: Of larger crowds of equal objects nobody asks who is interchangeable.
MOST_MEMBERS = 24


def interchangeable(small: StateGraph) -> Iterator[tuple[Symmetry, frozenset[CellName]]]:
    """The symmetries of the scene that a graph is about, as far as it was set up: all classes together, then each alone.

    With each, the cells in which its members are named in an order.
    """
    columns, folds = small.columns, small.folds
    cells, actors = columns.at_setup, {name: columns.frozen(number, 0) for number, name in enumerate(columns.actors)}
    classes = classes_of(small.recorder.make().objects, cells, actors)
    for some in (classes, *([one] for one in classes if len(classes) > 1)):
        symmetry = Symmetry(some, actors)
        ordered = _unchanged(symmetry, cells, actors)
        told = symmetry.taken_apart(folds.frozen(small.rows[0][columns.rules]))[1]  # by set-up, to the rules
        if some and ordered is not None and not told and symmetry.order <= MOST_PERMUTATIONS:
            yield symmetry, ordered


def classes_of(objects: Sequence[Tracked], cells: Mapping[CellName, Any], actors: Mapping[str, Any]) -> list[Class]:
    """Who is set up so that it could change places. ``cells`` and ``actors``: all of them, frozen."""
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
    """What of a value is the same for all members: a number itself, of names only that they are names."""
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
    """Two objects change places: what hangs on one must correspond to what hangs on the other."""

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
    if type(value) is tuple and symmetry.taken_apart(value)[1]:
        return tuple(sorted(repr(_loose(symmetry, item)) for item in value))
    return value


_NOBODY = object()
