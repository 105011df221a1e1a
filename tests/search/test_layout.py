"""States as words: what is put in comes out, and whatever is learnt later, states keep their words and numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2plab.search.arrays import states as layout_module
from p2plab.search.arrays import states as visited_module
from p2plab.search.arrays.states import Collision, Layout, Visited, widened

counts = st.lists(st.integers(1, 300), min_size=1, max_size=12)


@given(data=st.data(), known=counts, grown=st.lists(counts, max_size=4))
def test_states_keep_their_words_when_columns_and_values_are_added(data, known, grown):
    """Room is made again and again; the words of the first states say the same as before, new columns 0."""
    layout = Layout(known)
    rows = np.array([[data.draw(st.integers(0, count - 1)) for count in known] for _ in range(3)])
    words = layout.pack(rows)
    now = known
    for more in grown:
        now = [max(pair) for pair in zip(now, more, strict=False)] + [*now[len(more) :], *more[len(now) :]]
        before, version = layout.packed().tolist(), layout.version
        changed = layout.room_for(now)
        assert changed == (layout.version != version)
        assert all(field in layout.packed().tolist() for field in before)
    words = widened(words, layout.words)
    expected = np.zeros((3, len(now)), np.int64)
    expected[:, : len(known)] = rows
    assert layout.unpack(words).tolist() == expected.tolist()
    assert np.array_equal(layout.pack(expected), words)
    assert [list(layout.row(words[:, state])) for state in range(3)] == expected.tolist()
    largest = np.array([[count - 1 for count in now]])
    assert layout.unpack(layout.pack(largest)).tolist() == largest.tolist()


@given(data=st.data(), word=st.sampled_from([4, 9, 64]))
def test_each_state_can_be_asked_for_a_column_of_its_own(data, word):
    """Whether the columns share a word or not, and whether a column's bits lie together or not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout_module, "WORD", word)
        layout = Layout([2, 2, 2])
        layout.room_for([9, 3, 2, 5])
        layout.room_for([200, 3, 70, 5])
    rows = np.array([[data.draw(st.integers(0, most)) for most in (199, 2, 69, 4)] for _ in range(4)])
    columns = np.array([data.draw(st.integers(0, 3)) for _ in range(4)])
    words = layout.pack(rows)
    assert layout.read_each(words, np.arange(4), columns).tolist() == rows[np.arange(4), columns].tolist()
    keep, put = layout.writing(((0, 150), (2, 1)), rules=3)
    after = (words & np.array(keep, np.uint64)[:, None]) | np.array(put, np.uint64)[:, None]
    assert layout.unpack(after).tolist() == [[150, row[1], 1, 0] for row in rows.tolist()]


def test_a_layout_arrives_elsewhere_as_it_was():
    """A worker reads the words of others."""
    layout = Layout([3, 200, 2])
    layout.room_for([3, 70_000, 2, 4])
    there = Layout.of_fields(layout.packed())
    rows = np.array([[2, 69_999, 1, 3], [0, 1, 0, 2]])
    assert there.words == layout.words
    assert np.array_equal(there.pack(rows), layout.pack(rows))
    assert there.read_each(layout.pack(rows), np.arange(2), np.array([1, 1])).tolist() == [69_999, 1]


def test_bits_to_spare_are_given_only_where_they_cost_no_word():
    """Thirty-two columns with two bits each fill a word; with four values none could be added to them."""
    assert Layout([4] * 32).words == 1
    assert Layout([4] * 33).words == 2
    roomy = Layout([4] * 10)
    assert not roomy.room_for([8] * 10)
    assert roomy.room_for([9] * 10)


@given(
    batches=st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40)), min_size=1, max_size=60), max_size=30),
    wide=st.booleans(),
)
def test_the_visited_set_numbers_states_as_a_dictionary_does(batches, wide):
    """In the order in which they are met; of equal ones in a batch one is new."""
    visited, numbers = Visited(2 if wide else 1), {}
    for batch in batches:
        pairs = [(a, b) if wide else (a << 32 | b, 0) for a, b in batch]
        words = np.array(pairs, np.uint64).T[: 2 if wide else 1].copy()
        found, new = visited.add(words)
        fresh = list(dict.fromkeys(pair for pair in pairs if pair not in numbers))
        assert sorted(pairs[place] for place in new.tolist()) == sorted(fresh)
        assert new.tolist() == sorted(new.tolist())
        for place in new.tolist():
            numbers[pairs[place]] = len(numbers)
        assert found.tolist() == [numbers[pair] for pair in pairs]
    assert visited.count == len(numbers)


def test_a_million_states_are_told_apart_while_the_table_grows():
    """Neighbouring numbers, met twice, in batches of another size the second time."""
    visited = Visited(1)
    states = np.arange(1_000_000, dtype=np.uint64)[None] * np.uint64(3)
    for first in range(0, states.shape[1], 70_001):
        visited.add(states[:, first : first + 70_001])
    for first in range(0, states.shape[1], 99_999):
        found, new = visited.add(states[:, first : first + 99_999])
        assert not new.size
        # Of one batch the order is that in which they were met, which was the order of the numbers.
        assert np.array_equal(found, np.arange(first, first + len(found)))


def test_states_keep_their_numbers_when_they_get_more_words():
    """A new word is 0 in all of them, and adds nothing to their hashes."""
    visited = Visited(1, seed=5)
    states = np.arange(5_000, dtype=np.uint64)[None]
    first, _ = visited.add(states)
    visited.widen(3)
    again, new = visited.add(widened(states, 3))
    assert np.array_equal(first, again)
    assert not new.size
    other = widened(states, 3)
    other[2] = 1
    assert visited.add(other)[1].size == 5_000


def test_two_states_with_one_hash_are_not_taken_for_one(monkeypatch):
    """A search begins again with other random numbers rather than lose a state."""
    monkeypatch.setattr(visited_module, "_factor", lambda _seed, _word: np.uint64(1))
    visited = Visited(2)
    with pytest.raises(Collision):
        visited.add(np.array([[1, 2], [2, 1]], np.uint64))


def test_states_met_at_different_times_may_have_one_hash(monkeypatch):
    """The table compares words, so nothing is lost there."""
    monkeypatch.setattr(visited_module, "_factor", lambda _seed, _word: np.uint64(1))
    visited = Visited(2)
    assert visited.add(np.array([[1], [2]], np.uint64))[0].tolist() == [0]
    assert visited.add(np.array([[2], [1]], np.uint64))[0].tolist() == [1]
    assert visited.add(np.array([[1], [2]], np.uint64))[0].tolist() == [0]
