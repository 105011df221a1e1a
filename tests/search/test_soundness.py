"""The memoised search finds what plain searches find: states, transitions, broken promises, deadlocks, rest."""

import pytest

from p2plab import find
from p2plab.core.actors import step
from p2plab.core.tracked import Footprint
from p2plab.core.world import World
from p2plab.rules import RULES as ALL_RULES
from p2plab.search import frames
from p2plab.search.arrays import graph as array_graph
from p2plab.search.arrays import search as array_search
from p2plab.search.arrays import states as array_states
from p2plab.search.freeze import Freezer, Unfreezable
from p2plab.search.graph import StateGraph
from p2plab.search.layers import Layers
from p2plab.search.model import Model
from p2plab.search.monitors import Monitors
from p2plab.search.recorder import Recorder
from p2plab.search.steps import NotDeterministic
from p2plab.search.watchdog import Watchdog
from p2plab.search.world import maker
from tests.search.every_order import outcome_of, outcomes
from tests.search.gate import RULES, difference, explored_wide, memoised, reference
from tests.search.programs import program, source

#: A program with more states than this is left to the benchmark.
SMALL = 300


@pytest.mark.parametrize("block", range(15))
def test_random_programs_have_the_same_states_in_both_searches(block):
    """Ten programs each; the text of the one that differs is in the message."""
    for seed in range(10 * block, 10 * block + 10):
        found = memoised(program(seed), limit=SMALL)
        if found.complete:
            # The number of a code object is the same for both: one program, one build function.
            build = program(seed)
            assert difference(memoised(build), reference(build)) == "", source(seed)


@pytest.mark.parametrize("seed", range(40))
def test_random_programs_have_the_same_outcomes_as_every_order_run_one_by_one(seed):
    """Against a reference that freezes nothing: each promise broken in some order, and each state at rest."""
    build = program(seed)
    expected = outcomes(build, limit=4_000)
    if expected is None:
        return
    with Watchdog() as dog:
        graph = StateGraph(Model(Recorder(maker(build, {}), dog), Monitors(RULES)))
        Layers(graph, stop_at_first=False).advance(60)
    ends = [(graph.path(state), None) for state in graph.terminal()]
    ends += [
        (graph.path(breach.state), breach.actor) for breach in graph.breaches if breach.broken.rule != "calls-return"
    ]
    found = set()
    for path, last in ends:
        world = World(build)
        for choice in [*path, *([] if last is None else [graph.actors[last]])]:
            world.take(choice)
        found.add(outcome_of(world))
    assert found == expected, source(seed)


@pytest.mark.parametrize(
    ("scene", "knobs"),
    [
        ("c4-acs-behind-the-back", {"driver": "good"}),
        ("f5-sleeps-non-blocking", {"driver": "good"}),
        ("e12-goes-without-a-word", {}),
        ("c6-cpu-touches", {"driver": "good"}),
    ],
)
def test_scenes_have_the_same_states_in_both_searches(scene, knobs):
    """Real drivers, real rules, small knobs."""
    found = find(scene)
    rules = [ALL_RULES[name] for name in found.rules]

    def build(world):
        found.build(world, found.settings(knobs))

    assert difference(memoised(build, rules), reference(build, rules)) == ""


def caught(seeds=range(60)) -> bool:
    """Whether the gate notices that something is wrong, in some of the programs."""
    for seed in seeds:
        build = program(seed)
        try:
            if difference(memoised(build, limit=SMALL), reference(build, limit=20 * SMALL)):
                return True
        except (NotDeterministic, Unfreezable):
            return True
    return False


def test_the_gate_is_quiet_when_nothing_is_wrong():
    """What the following tests break is whole before they do."""
    assert not caught(range(10))


def test_a_read_that_is_not_recorded_is_caught(monkeypatch):
    """Break the recording on purpose: reads of one attribute go unseen."""
    honest = Footprint.read
    monkeypatch.setattr(Footprint, "read", lambda self, cell: None if cell[1] == "x" else honest(self, cell))
    assert caught()


def test_a_write_that_is_not_recorded_is_caught(monkeypatch):
    """The recorder compares the cells before and after."""
    honest = Footprint.write
    monkeypatch.setattr(Footprint, "write", lambda self, cell: None if cell[1] == "list" else honest(self, cell))
    assert caught()


def test_a_change_in_place_that_counts_as_no_read_is_caught(monkeypatch):
    """A list that is appended to depends on what was in it."""
    honest = Footprint.read
    monkeypatch.setattr(Footprint, "read", lambda self, cell: None if cell[1] == "list" else honest(self, cell))
    assert caught()


def test_a_local_configuration_without_its_value_stack_is_caught(monkeypatch):
    """The iterator of a ``for`` loop lives only there."""
    honest = Freezer._frame_of

    def locals_only(self, value):
        frozen = honest(self, value)
        return frozen if frozen[0] == "finished" else frozen[: 4 + len(frozen[3])]

    monkeypatch.setattr(Freezer, "_frame_of", locals_only)
    for seed in range(60):
        build = program(seed)
        expected = outcomes(build, limit=4_000)
        try:
            found = memoised(build, limit=SMALL)
        except (NotDeterministic, Unfreezable):
            return
        told = {rule for _, _, rule, _ in found.broken} | ({"rest"} if found.at_rest else set())
        if expected is not None and {kind for kind, _ in expected} != told:
            return
    pytest.fail("nothing was noticed")


def test_locals_left_out_although_they_are_read_again_are_caught(monkeypatch):
    """Take every assignment for one that nobody reads: states become one that behave differently."""
    monkeypatch.setattr(frames, "_READS", frozenset())
    monkeypatch.setattr(frames, "_LIVE", {})
    assert caught()


def test_a_local_that_is_not_read_again_is_no_state():
    """It is read, or a handler may read it, or code may look at all of its locals: then it is."""

    def frozen_with(job, number):
        coroutine = job(number)
        coroutine.send(None)
        value = Freezer().whole(coroutine)
        coroutine.close()
        return value

    for text, counts in (
        ("return None", False),
        ("return seen", True),
        ("seen = 1; return seen", False),
        ("del seen", True),
        ("return locals()", True),
        ("try:\n        await step('b')\n    finally:\n        print(seen)", True),
    ):
        names = {"step": step}
        exec(f"async def job(number):\n    seen = number\n    await step('a')\n    {text}\n", names)  # noqa: S102
        differ = frozen_with(names["job"], 1) != frozen_with(names["job"], 2)
        assert differ == (counts or not frames.drop_dead), text


@pytest.mark.parametrize("block", range(10))
def test_the_search_in_arrays_finds_what_the_small_one_finds(block, monkeypatch):
    """The same states, and the same smallest story, cut into chunks of any size and into words of few bits."""
    monkeypatch.setattr(array_states, "WORD", (64, 5, 11)[block % 3])
    monkeypatch.setattr(array_states, "SPARE", block % 2)
    monkeypatch.setattr(array_graph, "CHUNK", 1 + 3 * block)
    monkeypatch.setattr(array_search, "CHUNK", 1 + 3 * block)
    for seed in range(6 * block, 6 * block + 6):
        build = program(seed)
        small = memoised(build, limit=SMALL)
        if not small.complete:
            continue
        with Watchdog() as dog:
            graph = array_graph.ArrayGraph(Model(Recorder(maker(build, {}), dog), Monitors(RULES)))
            breadth = array_search.Breadth(graph)
            while not breadth.complete:
                breadth.one_chunk()
            assert difference(small, explored_wide(graph)) == "", source(seed)
            layered = array_search.ArrayLayers(
                array_graph.ArrayGraph(Model(Recorder(maker(build, {}), dog), Monitors(RULES)))
            )
            layered.advance(60)
            layers = Layers(StateGraph(Model(Recorder(maker(build, {}), dog), Monitors(RULES))))
            layers.advance(60)
        found = [(story.switches, len(story.choices)) for story in layers.stories]
        assert ([(layered.found.switches, len(layered.found.choices))] if layered.found else []) == found, source(seed)
