"""What the frame checks refuse, what a large search needs, and what must not be imported early."""

import subprocess
import sys

from p2plab import find
from p2plab.core.actors import step
from p2plab.search import Incomplete, Pass, Search, Violation, check
from p2plab.search import search as search_module
from tests.search.test_verdicts import SCENE, Box, NoDrain, scene_of


def test_a_variable_of_an_enclosing_function_that_both_assign_is_seen():
    """``nonlocal`` is shared state outside of any driver: the search falls back to replaying, and finds the lost update."""

    def build(world):
        count = 0

        def adding():
            async def add():
                nonlocal count
                seen = count
                await step("between")
                count = seen + 1
                await step("added")

            return add()

        async def looks():
            for _ in range(4):
                await step("looks")
            assert count != 1

        world.actor("one", adding)
        world.actor("two", adding)
        world.actor("looker", looks)

    search = Search(scene_of(build))
    while search.advance(1.0) is None:
        pass
    assert isinstance(search.verdict, Violation)
    assert search.verdict.rule == "no-crash"
    assert search._why_plain.endswith(
        "must live in attributes of their drivers, not in a closure, a global or a plain object"
    )


def test_a_list_kept_while_another_assigns_a_new_one_is_refused():
    """Whoever kept the old one goes on with it: a look-up by the attribute's content would be wrong."""

    def build(world):
        box = Box()

        async def keeps():
            items = box.items
            await step("keeps")
            items.append(1)
            await step("appends")

        async def replaces():
            box.items = []
            await step("replaces")
            await step("looks")
            assert not box.items

        world.actor("keeps", keeps)
        world.actor("replaces", replaces)

    search = Search(scene_of(build))
    while search.advance(1.0) is None:
        pass
    assert "Box0.items across an await" in search._why_plain
    assert isinstance(search.verdict, Incomplete)
    assert "nothing broke in any order" in search.verdict.why


def test_a_loop_over_a_shared_list_that_awaits_is_searched():
    """Others may change the list between two rounds; each round reads it again."""

    def build(world):
        box = Box()
        box.items = [1]

        async def sums():
            total = 0
            for item in box.items:
                total += item
                await step("adds up")
            assert total < 3

        world.actor("sums", sums)
        world.actor("appends", lambda: step("appends", lambda: box.items.append(2)))

    answer = check(scene_of(build))
    assert isinstance(answer, Violation)
    assert answer.run.schedule == ("appends", "sums", "sums")


def test_a_search_that_grows_goes_on_in_arrays_with_the_same_answer(monkeypatch):
    """The proof, and the smallest story, do not depend on when it grows."""
    small = check(SCENE), check(SCENE, importer=NoDrain)
    monkeypatch.setattr(search_module, "SMALL", 50)
    large = check(SCENE), check(SCENE, importer=NoDrain)
    assert isinstance(large[0], Pass)
    assert large[0].complete
    assert large[0].effort.states == small[0].effort.states
    assert large[0].effort.transitions == small[0].effort.transitions
    assert (large[1].rule, large[1].switches, large[1].steps) == (small[1].rule, small[1].switches, small[1].steps)
    bounded = check(SCENE, importer=NoDrain, bound=2)
    assert isinstance(bounded, Pass)
    assert not bounded.complete


def test_a_loop_without_end_is_found_in_arrays_too(monkeypatch):
    """Nobody ever comes to rest: the same loop, once around."""
    monkeypatch.setattr(search_module, "SMALL", 1)

    def build(world):
        box = Box()

        async def polls():
            while not box.flag:
                await step("looks")

        world.actor("one", polls)
        world.actor("two", polls)

    answer = check(scene_of(build))
    assert isinstance(answer, Violation)
    assert answer.rule == "retry-for-ever"


def test_a_small_search_does_without_numpy():
    """It is imported only once a search grows; also in a browser, where there is none, a search goes on."""
    code = (
        "import sys\n"
        "from p2plab import find\n"
        "from p2plab.search import check\n"
        "check(find('defrag-ignorant'))\n"
        "sys.exit('numpy' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_without_numpy_a_search_that_grows_stays_small(monkeypatch):
    """Slower, the same answer."""
    monkeypatch.setattr(search_module, "SMALL", 50)
    monkeypatch.setitem(sys.modules, "p2plab.search.arrays.search", None)
    answer = check(find("defrag-obedient"))
    assert isinstance(answer, Pass)
    assert answer.complete
