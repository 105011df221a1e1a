"""What a step read and wrote is recorded by the world; nobody declares it."""

import threading
from dataclasses import dataclass

import pytest

from p2plab.core.actors import step, wait_event
from p2plab.core.schedule import follow, straight
from p2plab.core.tracked import Tracked, TrackedDict, TrackedList, Untrackable, cells_of, freeze
from p2plab.core.world import World


class Box(Tracked):
    limit = 3

    def __init__(self):
        self.number = 0
        self.items = []
        self.by_name = {}
        self.marks = set()

    def double(self):
        return self.number * 2


def footprints(effect) -> tuple[list[str], list[str]]:
    """The cells that one effect on a Box read and wrote."""

    def build(world: World) -> None:
        box = Box()

        async def driver() -> None:
            await step("effect", lambda: effect(box))

        world.actor("driver", driver)

    world = World(build)
    follow(world, straight)
    assert not [entry for entry in world.log if entry.event.kind == "Crashed"], world.log
    reads, writes = world.footprint.names()
    return list(reads), list(writes)


@pytest.mark.parametrize(
    ("effect", "reads", "writes"),
    [
        (lambda box: box.number, ["Box0.number"], []),
        (lambda box: setattr(box, "number", 1), [], ["Box0.number"]),
        (lambda box: (setattr(box, "number", 1), box.number), [], ["Box0.number"]),
        (lambda box: box.double(), ["Box0.number"], []),
        (lambda box: box.limit, ["Box0.limit"], []),
        (lambda box: getattr(box, "nothing", None), ["Box0.nothing"], []),
        (lambda box: hasattr(box, "nothing"), ["Box0.nothing"], []),
        (lambda box: delattr(box, "number"), [], ["Box0.number"]),
        (lambda box: box.items.append(1), ["Box0.items"], ["Box0.items"]),
        (lambda box: len(box.items), ["Box0.items"], []),
        (lambda box: tuple(box.items), ["Box0.items"], []),
        (lambda box: 3 in box.items, ["Box0.items"], []),
        (lambda box: box.items.sort(), ["Box0.items"], ["Box0.items"]),
        (lambda box: bool(box.items), ["Box0.items"], []),
        (lambda box: box.items == [], ["Box0.items"], []),
        (lambda box: box.by_name.get("x"), ["Box0.by_name"], []),
        (lambda box: box.by_name.update(x=1), ["Box0.by_name"], ["Box0.by_name"]),
        (lambda box: box.by_name.setdefault("x", []).append(1), ["Box0.by_name"], ["Box0.by_name"]),
        (lambda box: list(box.by_name.items()), ["Box0.by_name"], []),
        (lambda box: box.marks.add("x"), ["Box0.marks"], ["Box0.marks"]),
        (lambda box: box.marks | {"y"}, ["Box0.marks"], []),
        (lambda box: "x" in box.marks, ["Box0.marks"], []),
    ],
)
def test_every_way_of_touching_a_cell_is_recorded(effect, reads, writes):
    """Attributes, class defaults, absent attributes, and the methods of containers."""
    assert footprints(effect) == (reads, writes)


def test_no_method_of_list_or_dict_slips_through():
    """Each public or operator method of the built-in containers is recorded, or known to be harmless."""
    harmless = {
        "__class__", "__class_getitem__", "__delattr__", "__dir__", "__doc__", "__format__", "__getattribute__",
        "__getstate__", "__hash__", "__init__", "__init_subclass__", "__new__", "__reduce__", "__reduce_ex__",
        "__setattr__", "__sizeof__", "__str__", "__subclasshook__", "fromkeys",
        "__ge__", "__gt__", "__le__", "__lt__",
    }  # fmt: skip
    for tracked, plain in ((TrackedList, list), (TrackedDict, dict)):
        for name in dir(plain):
            recorded = getattr(tracked, name) is not getattr(plain, name)
            assert recorded or name in harmless, f"{plain.__name__}.{name} is not recorded"


def test_a_condition_s_reads_belong_to_the_step_it_lets_through():
    """The guard of a wait is part of what the step depends on."""

    def build(world: World) -> None:
        box = Box()
        box.number = 5

        async def driver() -> None:
            await wait_event(lambda: box.number > 4, "enough")
            box.marks.add("done")

        world.actor("driver", driver)

    world = World(build)
    world.take("driver")
    assert world.footprint.names() == (("Box0.number", "Box0.marks"), ("Box0.marks",))


def test_what_cannot_be_seen_changing_cannot_be_stored():
    """Mutable objects of other kinds, lists inside tuples, and the same list in two places are refused by name."""

    class Plain:
        pass

    @dataclass(frozen=True)
    class Fine:
        x: int

    def build(world: World) -> None:
        box, other = Box(), Box()
        for value, sentence in (
            (threading.Lock(), "Box0.items cannot hold a lock: changes inside it could not be seen"),
            (bytearray(2), "Box0.items cannot hold a bytearray"),
            ((1, [2]), "Box0.items cannot hold a list inside a tuple: use a tuple"),
            (other.items, "Box0.items cannot be the same list as Box1.items: share the object that owns it"),
        ):
            with pytest.raises(Untrackable) as refusal:
                box.items = value
            assert str(refusal.value).startswith(sentence)
        box.items = [Fine(1), other, (1, "a"), frozenset({2}), None, [3, {"k": {4}}], len, box.double, Plain()]
        assert freeze(box.items) == freeze(box.items)

    World(build)


def test_names_do_not_depend_on_what_others_do():
    """An object is called after its maker and its number among the maker's, in every order of steps."""
    made = []

    def build(world: World) -> None:
        def maker():
            async def make() -> None:
                for _ in range(2):
                    await step("makes", lambda: made.append(Box()))

            return make()

        world.actor("a", maker)
        world.actor("b", maker)

    for order in (("a", "a", "b", "b"), ("b", "a", "b", "a")):
        made.clear()
        world = World(build)
        for choice in order:
            world.take(choice)
        assert sorted(map(repr, made)) == ["<a/Box0>", "<a/Box1>", "<b/Box0>", "<b/Box1>"]


def test_a_set_keeps_its_order():
    """Iteration over a tracked set is by insertion, so that a replay in another process goes the same way."""

    def build(_world: World) -> None:
        box = Box()
        box.marks = {"pear", "apple", "fig"}
        box.marks.add("aa")
        assert list(box.marks) == ["apple", "fig", "pear", "aa"]

    World(build)


def test_a_state_tells_values_apart_that_python_calls_equal():
    """True, 1 and 1.0 are different states, and so are a list and a tuple."""
    assert len({freeze(value) for value in (1, True, 1.0, "1", b"1", None, [1], (1,))}) == 8


def footprints_of_a_loop(loop) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The footprints of a driver that loops over a Box's container with a step in each round."""

    def build(world: World) -> None:
        box = Box()
        box.items, box.by_name, box.marks = [1, 2], {"a": 1, "b": 2}, {"x", "y"}
        world.actor("driver", lambda: loop(box))

    world, found = World(build), []
    for choice in straight(world):
        world.take(choice)
        found.append(world.footprint.names())
    return found


@pytest.mark.parametrize(
    ("container", "cell"),
    [
        (lambda box: box.items, "Box0.items"),
        (lambda box: box.by_name, "Box0.by_name"),
        (lambda box: box.by_name.items(), "Box0.by_name"),
        (lambda box: box.by_name.values(), "Box0.by_name"),
        (lambda box: box.marks, "Box0.marks"),
    ],
)
def test_a_loop_that_awaits_reads_the_container_in_every_step(container, cell):
    """Going on with an iterator is a read, in whichever step it happens."""

    async def loop(box: Box) -> None:
        for _ in container(box):
            await step("round")

    assert footprints_of_a_loop(loop) == [((cell,), ()), ((cell,), ())]


def test_a_loop_over_a_dict_that_shrank_in_between_fails_as_in_python():
    """The next round says that the size changed."""

    async def loop(box: Box) -> None:
        with pytest.raises(RuntimeError, match="changed its size"):  # noqa: PT012  the loop itself raises
            for _ in box.by_name:
                await step("round")
                del box.by_name["a"]
                await step("between")

    assert len(footprints_of_a_loop(loop)) == 2


def test_what_vars_gives_is_seen_attribute_by_attribute():
    """As if each had been named; looking through all of them reads those, too, that are not there."""
    assert footprints(lambda box: vars(box)["number"])[0] == ["Box0.number"]
    assert footprints(lambda box: vars(box).update(number=3))[1] == ["Box0.number"]
    assert {"Box0.number", "Box0.items"} <= set(footprints(lambda box: len(vars(box)))[0])


def test_slots_are_cells_like_any_attribute():
    """A class that declares them gets them as attributes: nothing is kept where nobody looks."""

    class Slotted(Box):
        __slots__ = ("slot",)

    with_slot = Slotted()
    with_slot.slot = 1
    assert "slot" in cells_of(with_slot)


@pytest.mark.parametrize("change", ["box.__class__ = Box", "box.method = print", "del box.method"])
def test_an_object_does_not_become_another_in_a_step(change):
    """Its class and its methods are read all the time; nobody could say by whom."""

    class Changed(Box):
        def method(self) -> None:
            """Do nothing."""

    names = {"Box": Box}
    with pytest.raises(AssertionError, match=r"another class|is a method"):
        footprints(lambda box: exec(change, names, {"box": Changed()}))  # noqa: S102
