"""The sweeps: what they must show whatever the seed, that a seed repeats, and that arrays agree with the model."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2plab.cli import main
from p2plab.core.world import World
from p2plab.p2p.aperture import Aperture
from p2plab.p2p.memory import DeviceMemory
from p2plab.sweeps import compact, fragmentation, latency, plan, refusals
from p2plab.sweeps.fragmentation import free_runs
from p2plab.sweeps.refusals import LATER, RAM, SET_UP

slots = st.lists(st.booleans(), min_size=1, max_size=60)


@given(slots)
def test_the_plan_is_the_aperture_s_own(used):
    """The same places as Aperture.compacted, slot by slot."""

    def build(_world: World) -> None:
        memory = DeviceMemory(len(used))
        aperture = Aperture("gpu", 0, len(used), memory)
        for slot, taken in enumerate(used):
            if taken:
                aperture.shows[slot] = slot
        made = plan(np.array([slot if taken else -1 for slot, taken in enumerate(used)]))
        assert {int(slot): place for place, slot in enumerate(made.used)} == aperture.compacted()
        assert made.moved == sum(slot != place for slot, place in aperture.compacted().items())

    World(build)


@given(slots, st.integers(1, 16))
@settings(max_examples=50)
def test_all_bytes_arrive_in_their_order_and_holes_end_up_last(used, width):
    """Also across the borders of chunks, where writing must not overtake reading."""
    taken = np.array(used * 200)
    shows = np.where(taken, np.arange(len(taken)), -1)
    content = np.random.default_rng(1).integers(0, 256, (len(taken), width), dtype=np.uint8)
    expected = content[taken].copy()
    compact(shows, content)
    assert np.array_equal(content[: len(expected)], expected)
    assert list(shows[: len(expected)]) == list(np.flatnonzero(taken))
    assert (shows[len(expected) :] == -1).all()


def test_the_plan_names_whom_to_tell():
    """The objects that move, each once; those below the first hole stay."""
    made = plan(np.array([0, 1, -1, 3, 4, -1, 6]), np.array([7, 7, 0, 8, 8, 0, 5]))
    assert (made.first, made.moved, list(made.owners)) == (2, 3, [5, 8])


@pytest.mark.parametrize("used", [[], [True] * 5, [False] * 5])
def test_nothing_to_do_is_done(used):
    """An empty, a full and a free aperture."""
    shows = np.array([n if taken else -1 for n, taken in enumerate(used)], dtype=np.int64)
    content = np.zeros((len(used), 4), dtype=np.uint8)
    assert compact(shows, content).moved == 0


def test_arrays_of_different_length_are_refused():
    """ValueError names both."""
    with pytest.raises(ValueError, match="3 slots and 2 rows"):
        compact(np.array([0, 1, 2]), np.zeros((2, 4), dtype=np.uint8))


def test_without_pins_a_defragmentation_leaves_one_hole():
    """And the more is pinned, the smaller the largest hole; the same seeds give the same points."""
    found = fragmentation(seeds=6, shares=(0.0, 0.2, 0.4), lifetimes=(4,))
    ratio = [point.median for point in found.series("lifetime x4", "largest free run / free slots")]
    assert ratio[0] == 1.0
    assert ratio[0] > ratio[1] >= ratio[2] - 0.1
    assert found == fragmentation(seeds=6, shares=(0.0, 0.2, 0.4), lifetimes=(4,))


def test_holes_are_found_with_their_length():
    """At both ends and in the middle."""
    assert free_runs(np.array([-1, 3, 3, -1, -1, 5, -1])) == [(0, 1), (3, 2), (6, 1)]


def test_each_policy_pays_in_its_own_coin():
    """Twice over-subscribed: refuse breaks its promise later, reserve refuses at set-up, ram and cap go elsewhere."""
    found = refusals(seeds=6, ratios=(0.5, 2.0))

    def at(policy: str, quantity: str) -> tuple[float, float]:
        low, high = found.series(policy, quantity)
        return low.median, high.median

    assert [at(policy, SET_UP)[0] for policy in ("refuse", "reserve", "ram", "cap")] == [0, 0, 0, 0]
    assert at("reserve", SET_UP)[1] > 0
    assert at("reserve", LATER)[1] == 0
    assert at("refuse", LATER)[1] > 0
    assert (at("ram", SET_UP)[1], at("ram", LATER)[1]) == (0, 0)
    assert at("ram", RAM)[1] > at("ram", RAM)[0] == 0
    assert at("cap", RAM)[1] > 0


def test_an_invalidation_waits_for_every_importer_in_turn():
    """Twice the importers, about twice the time; slower ones take longer."""
    found = latency(seeds=3, importers=(1, 4), quiesce=(1, 20))
    one, four = (point.median for point in found.series("quiesce 20", "ticks from start to end"))
    assert 3 <= four / one <= 5
    assert found.series("quiesce 1", "ticks from start to end")[0].median < one


def test_progress_is_told_run_by_run():
    """From the first to the last."""
    seen: list[tuple[int, int]] = []
    latency(seeds=2, importers=(1,), quiesce=(1,), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]


def test_the_command_says_that_durations_are_illustrative(capsys):
    """As text of at most 72 columns and as JSON."""
    assert main(["sweep", "latency", "--seeds", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 72
    assert "illustrative" in " ".join(lines)
    assert main(["sweep", "latency", "--seeds", "1", "--json"]) == 0
    assert "illustrative" in json.loads(capsys.readouterr().out)["note"]
    assert main(["sweep", "latency", "--seeds", "0"]) == 2


def test_what_is_pinned_for_longer_does_more_harm():
    """The same share of pins, sixteen times the lifetime: a smaller largest hole."""
    found = fragmentation(seeds=8, shares=(0.1,), lifetimes=(1, 16))
    quantity = "largest free run / free slots"
    short, long = (found.series(f"lifetime x{factor}", quantity)[0].median for factor in (1, 16))
    assert long < short - 0.1
