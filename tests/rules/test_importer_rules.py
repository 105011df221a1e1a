"""Each rule of the promises: what breaks it, said with step, culprit and words; and what does not."""

from dataclasses import replace

import pytest

from p2plab.core.calls import Called, Returned
from p2plab.core.events import Entry
from p2plab.core.lockdep import Deadlock, LockInversion
from p2plab.core.world import Crashed
from p2plab.mm.log import NotifierEnd, NotifierStart, VmaUnmapped
from p2plab.p2p.events import (
    BeatIssued,
    BeatLanded,
    MapAsked,
    P2PMapFailed,
    P2PMapped,
    P2PUnmapped,
    SlotFreed,
    SlotTaken,
    TranslationCleared,
    TranslationSet,
)
from p2plab.rules import RULES, judge

PAGE = 4096
BASE = 0x7F00_0000_0000
BAR = 0xE800_0000
END = BASE + 2 * PAGE


def log(*events) -> list[Entry]:
    """Entries of one actor, one a step; a pair (actor, event) names another actor."""
    pairs = [event if isinstance(event, tuple) else ("gpu", event) for event in events]
    return [Entry(n, n + 1, n, actor, event) for n, (actor, event) in enumerate(pairs)]


def found(rule: str, *events) -> list[tuple[int, str, str]]:
    board = judge(log(*events), [RULES[rule]])
    return [(finding.step, finding.culprit, finding.what) for finding in board.findings]


MAPPED = P2PMapped("nic", "gpu", BASE, END, True, (BAR, BAR + PAGE), ("A[0]", "A[1]"))
PROGRAMMED = TranslationSet("nic", BASE, (BAR, BAR + PAGE))
CLEARED = TranslationCleared("nic", BASE, END)
GIVEN_BACK = P2PUnmapped("nic", "gpu", BASE, END, (BAR, BAR + PAGE))
START = NotifierStart("app", "CLEAR", BASE, END, True, "read")
STOP = NotifierEnd("app", "CLEAR", BASE, END)
CALLBACK = Called("mmu_notifier", "nic", "invalidate_range_start", "")
CALLBACK_DONE = Returned("nic", "invalidate_range_start", "")


def landed(page: int, frame: str, owner: str, write: bool = True) -> BeatLanded:
    return BeatLanded("nic", BASE + page * PAGE, BAR + page * PAGE, write, frame, owner, b"old", b"new")


def test_obedience_is_kept_by_letting_go_of_everything():
    """Translations out, nothing in flight, given back, all before the callback returns."""
    assert found("obedience", MAPPED, PROGRAMMED, START, CALLBACK, CLEARED, GIVEN_BACK, CALLBACK_DONE, STOP) == []


def test_obedience_names_everything_that_was_left():
    """Held, translated and in flight, each with its count."""
    beat = BeatIssued("nic", BASE, BAR)
    assert found("obedience", MAPPED, PROGRAMMED, beat, START, CALLBACK, CALLBACK_DONE) == [
        (
            6,
            "nic",
            "nic returned from its callback with 2 pages still mapped, 2 pages still translated, a beat in flight",
        )
    ]
    assert found("obedience", MAPPED, PROGRAMMED, START, CALLBACK, GIVEN_BACK, CALLBACK_DONE) == [
        (6, "nic", "nic returned from its callback with 2 pages still translated")
    ]


def test_a_refusal_is_not_judged_as_obedience_until_the_invalidation_is_over():
    """Who answers -EAGAIN promises nothing: refuses-rightly names it. Where the kernel goes on, what was left is told."""
    refused = Returned("nic", "invalidate_range_start", "-11")
    mapped = replace(MAPPED, mm="app")
    assert found("obedience", mapped, PROGRAMMED, START, CALLBACK, refused) == []
    assert found("obedience", mapped, PROGRAMMED, START, CALLBACK, refused, STOP) == [
        (6, "nic", "the CLEAR is over, nic refused it and still translates 2 pages")
    ]


def test_obedience_is_about_the_range_only():
    """What lies outside of the range may stay, and one page inside it may not."""
    other = NotifierStart("app", "CLEAR", END, END + PAGE, True, "read")
    edge = NotifierStart("app", "CLEAR", BASE + PAGE, END + PAGE, True, "read")
    assert found("obedience", MAPPED, PROGRAMMED, other, CALLBACK, CALLBACK_DONE) == []
    assert found("obedience", MAPPED, PROGRAMMED, edge, CALLBACK, CALLBACK_DONE) == [
        (5, "nic", "nic returned from its callback with 1 page still mapped, 1 page still translated")
    ]


def test_what_is_mapped_while_the_callback_runs_is_not_asked_back_by_it():
    """The importer has to look again before it programs its device; it need not have given this back yet."""
    assert found("obedience", MAPPED, GIVEN_BACK, START, CALLBACK, MAPPED, CALLBACK_DONE) == []
    assert found("obedience", MAPPED, GIVEN_BACK, START, CALLBACK, MAPPED, PROGRAMMED, CALLBACK_DONE) == [
        (7, "nic", "nic returned from its callback with 2 pages still translated")
    ]


def test_stale_dma_says_what_the_address_was_and_what_it_is_now():
    """After a take-back, also where the old frame is still there; and where nothing is."""
    prologue = (MAPPED, PROGRAMMED, START, CALLBACK_DONE, STOP)
    what = "granted as A[0] and taken back (CLEAR); "
    for beat, said in (
        (landed(0, "C[0]", "app2"), f"nic wrote 0xe8000000, {what}it is C[0] of app2 now"),
        (landed(0, "C[0]", "app2", write=False), f"nic read 0xe8000000, {what}it is C[0] of app2 now"),
        (landed(0, "A[0]", "app"), f"nic wrote 0xe8000000, {what}it is A[0] of app now"),
        (landed(0, "", ""), f"nic wrote 0xe8000000, {what}nothing is there now"),
    ):
        assert found("no-stale-dma", *prologue, beat) == [(6, "nic", said)]


def test_dma_between_grant_and_take_back_is_no_stale_dma():
    """Also while the notifier is still calling: the old place is good until its end."""
    assert found("no-stale-dma", MAPPED, landed(1, "A[1]", "app"), START, landed(0, "A[0]", "app"), STOP) == []


def test_a_frame_that_moved_without_a_word_is_the_exporter_s_doing_but_stale_all_the_same():
    """No notifier was heard, and something else is there."""
    assert found("no-stale-dma", MAPPED, landed(0, "A[1]", "app")) == [
        (2, "nic", "nic wrote 0xe8000000, granted as A[0] and moved without a word; it is A[1] of app now")
    ]


def test_an_address_never_given_is_named():
    """DMA out of the blue."""
    assert found("no-stale-dma", landed(0, "C[0]", "app2")) == [
        (1, "nic", "nic wrote 0xe8000000, which it was never given")
    ]


def test_giving_back_twice_is_counted_by_page():
    """Once is right, twice is one too often."""
    assert found("balanced-unmap", MAPPED, GIVEN_BACK) == []
    assert found("balanced-unmap", MAPPED, GIVEN_BACK, GIVEN_BACK) == [
        (3, "nic", "nic gave 2 pages back that it did not have")
    ]


def test_a_vma_that_goes_takes_the_last_chance_to_give_back():
    """After the UNMAP nobody can give these pages back any more; after a CLEAR they still can."""
    gone = NotifierEnd("app", "UNMAP", BASE, END)
    assert found("balanced-unmap", MAPPED, STOP) == []
    assert found("balanced-unmap", MAPPED, gone) == [(2, "nic", "the vma is gone and nic never gave 2 pages back")]


def test_what_an_invalidation_took_is_owed_once_all_wait():
    """Whoever waits itself may still give it back, and what nobody took may be kept; a cycle of waits has its own name."""
    called, stuck = CALLBACK_DONE, Deadlock((), ("gpu: nothing is lent",))
    what = "an invalidation took 2 pages that nic never gives back, and all wait (gpu: nothing is lent)"
    assert found("balanced-unmap", MAPPED, START, called, STOP, stuck) == [(5, "nic", what)]
    assert found("balanced-unmap", MAPPED, stuck) == []
    assert found("balanced-unmap", MAPPED, START, GIVEN_BACK, called, STOP, stuck) == []
    assert (
        found("balanced-unmap", MAPPED, START, called, STOP, Deadlock((), ("nic: woken", "gpu: nothing is lent"))) == []
    )
    assert found("balanced-unmap", MAPPED, START, called, STOP, Deadlock(("gpu", "app"), ("gpu: a", "app: b"))) == []


def test_overlap_is_seen_from_both_sides():
    """A slot with two frames, a frame in two slots; free in between is fine."""
    taken = SlotTaken("gpu", 3, "A[0]")
    assert found("no-overlap", taken, SlotFreed("gpu", 3, "A[0]"), SlotTaken("gpu", 3, "B[0]")) == []
    assert found("no-overlap", taken, SlotTaken("gpu", 3, "B[0]")) == [
        (2, "gpu", "slot 3 of gpu shows A[0] and is given to B[0]")
    ]
    assert found("no-overlap", taken, SlotTaken("gpu", 4, "A[0]")) == [
        (2, "gpu", "A[0] is shown by slots 3 and 4 of gpu")
    ]
    assert found("no-overlap", taken, SlotTaken("other", 4, "A[0]")) == []


def test_a_second_map_may_fail_only_when_the_vma_is_gone():
    """A first refusal is honest; one after a success is not, unless part of the vma went away."""
    refused = P2PMapFailed("nic", "gpu", BASE, END, "ENOSPC")
    assert found("predictability", refused) == []
    assert found("predictability", MAPPED, refused) == [
        (2, "gpu", "gpu answered -ENOSPC to nic, which had mapped the range before")
    ]
    assert found("predictability", MAPPED, VmaUnmapped("app", BASE, BASE + PAGE), refused) == []


@pytest.mark.parametrize(
    ("rule", "event"),
    [
        ("no-deadlock", Deadlock(("a", "b"), ("a: lock x", "b: lock y"))),
        ("lock-order", LockInversion("x", "y", ("y", "x"), "b")),
        ("no-crash", Crashed("ZeroDivisionError: by nothing", "map:12")),
    ],
)
def test_what_the_world_itself_finds_is_a_finding(rule, event):
    """Deadlocks, inversions and crashes are in the log already; the rule passes them on."""
    board = judge(log(event), [RULES[rule]])
    assert [(finding.rule, finding.step, finding.actor) for finding in board.findings] == [(rule, 1, "gpu")]
    assert str(event) in board.findings[0].what


def test_every_rule_says_where_it_comes_from():
    """A promise, a source, and whether it is stated there."""
    for name, rule in RULES.items():
        assert rule.name == name
        assert rule.promise
        assert rule.source
        assert isinstance(rule.stated, bool)
        assert rule.__doc__


def test_a_rule_that_had_no_occasion_says_so():
    """Not exercised is not the same as kept."""
    board = judge(log(PROGRAMMED.__class__("nic", BASE, ())), [RULES["obedience"], RULES["no-overlap"]])
    assert {rule.name: board.state(rule) for rule in board.rules} == dict.fromkeys(
        ("obedience", "no-overlap"), "not exercised"
    )


def test_inside_one_vma_is_kept_by_asking_and_not_by_silence():
    """A good question exercises the rule; without one the board does not claim that it was kept."""
    asked = MapAsked("nic", "gpu", BASE, END, BASE, END)
    states = []
    for events in ((), (asked,)):
        board = judge(log(*events), [RULES["inside-one-vma"]])
        states += [board.state(rule) for rule in board.rules]
    assert states == ["not exercised", "kept"]
