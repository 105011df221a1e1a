"""The exporter's, the core's and the price rules: what breaks each, and the nearest thing that does not."""

from dataclasses import replace

import pytest

from p2plab.core.calls import Called, Returned
from p2plab.core.events import Entry
from p2plab.core.world import Stepped
from p2plab.mm.log import NotifierEnd, NotifierStart, NotifierWarned, VmaMapped
from p2plab.p2p.events import (
    ApertureMade,
    BeatLanded,
    ContentLost,
    DeviceGone,
    Disaster,
    HmmRangeMapped,
    HmmRangeUnmapped,
    LendingEnded,
    Lent,
    MapAsked,
    MoveBegun,
    MoveEnded,
    ObjectDestroyed,
    P2PMapFailed,
    P2PMapped,
    P2PUnmapped,
    PermissionChanged,
    ProtectionChanged,
    SlotFreed,
    SlotTaken,
    TranslationSet,
    UseAfterFree,
    WaitTimedOut,
)
from p2plab.rules import DESIGN_PROMISES, GOALS, HARDWARE, PRICES, PROMISES, RULES, judge, reached

PAGE = 4096
BASE = 0x7F00_0000_0000
BAR = 0xE800_0000
END = BASE + PAGE


def log(*events) -> list[Entry]:
    """Entries of one actor, one a step; a pair (actor, event) names another actor."""
    pairs = [event if isinstance(event, tuple) else ("gpu", event) for event in events]
    return [Entry(n, n + 1, n, actor, event) for n, (actor, event) in enumerate(pairs)]


def found(rule: str, *events) -> list[tuple[int, str]]:
    return [(finding.step, finding.culprit) for finding in judge(log(*events), [RULES[rule]]).findings]


ASKED = MapAsked("nic", "gpu", BASE, END, BASE, END, "app")
LENT = Lent("gpu", "nic", "A", BASE, (BAR,), ("bar",))
MAPPED = P2PMapped("nic", "gpu", BASE, END, True, (BAR,), ("A[0]",), "app")
RIGHT = P2PMapped("nic", "gpu", BASE, END, True, (BAR,), ("A[0]",), "app", ("A[0]",))
WRONG = P2PMapped("nic", "gpu", BASE, END, True, (BAR,), ("A[0]",), "app", ("B[0]",))
EMPTY = P2PMapped("nic", "gpu", BASE, END, True, (BAR,), ("A[0]",), "app", ("",))
READS = P2PMapped("nic", "gpu", BASE, END, False, (BAR,), ("A[0]",), "app")
BACK = P2PUnmapped("nic", "gpu", BASE, END, (BAR,))
START = NotifierStart("app", "CLEAR", BASE, END, True, "none")
STOP = NotifierEnd("app", "CLEAR", BASE, END)
ZAPS = NotifierStart("app", "CLEAR", BASE, END, True, "read", (("app.mmap_lock", "read"),))
NEXT_PAGE, NEXT_STOP = (
    NotifierStart("app", "CLEAR", END, END + PAGE, True, "none"),
    NotifierEnd("app", "CLEAR", END, END + PAGE),
)
OTHER_STOP = NotifierEnd("app2", "CLEAR", BASE, END)
CALL = Called("mmu_notifier", "nic", "invalidate_range_start", "")
DONE = Returned("nic", "invalidate_range_start", "")
SET = TranslationSet("nic", BASE, (BAR,))
SHOWN = SlotTaken("gpu", 0, "A[0]", BAR)
FREED = SlotFreed("gpu", 0, "A[0]", BAR)
REFUSED = P2PMapFailed("nic", "gpu", BASE, END, "ENOSPC", -28)
HIT = BeatLanded("nic", BASE, BAR, True, "A[0]", "app", b"old", b"new")
MISSED = BeatLanded("nic", BASE, BAR, True, "", "", b"", b"")
ROUND = (ASKED, MAPPED, BACK)
OVERTAKEN = (ASKED, START, STOP, MAPPED, BACK)
MOVED = (ASKED, START, FREED, SHOWN, STOP, MAPPED, BACK)

BREAKS = {
    "told-before-moved": [
        ((MAPPED, FREED), [(2, "gpu")]),
        ((MAPPED, START, STOP, FREED), []),
        ((MAPPED, START, OTHER_STOP, FREED), [(4, "gpu")]),
        ((MAPPED, BACK, FREED), []),
        ((ASKED, LENT, START, STOP, MAPPED, FREED), []),
    ],
    "no-map-while-moving": [
        ((MoveBegun("gpu", "A"), LENT), [(2, "gpu")]),
        ((MoveBegun("gpu", "A"), MoveEnded("gpu", "A"), LENT), []),
        ((MoveBegun("gpu", "B"), LENT), []),
        ((MAPPED, START, STOP, BACK, MAPPED, FREED), [(6, "gpu")]),
        ((START, STOP, MAPPED, FREED), [(4, "gpu")]),
        ((MAPPED, START, STOP, BACK, MAPPED, START, STOP, FREED), []),
        ((MAPPED, START, STOP, BACK, FREED, SHOWN, MAPPED, START, STOP, FREED), []),
        ((MAPPED, ("app", START), ("app", STOP), BACK, MAPPED, FREED), []),
    ],
    "right-when-given": [
        ((ASKED, RIGHT), []),
        ((ASKED, WRONG), [(2, "gpu")]),
        ((ASKED, START, STOP, WRONG), []),
        ((START, STOP, ASKED, WRONG), [(4, "gpu")]),
        ((ASKED, EMPTY), [(2, "gpu")]),
        ((ObjectDestroyed("gpu", "A"), ASKED, WRONG), [(3, "gpu")]),
        ((ASKED, MAPPED), []),
    ],
    "inside-bar": [
        ((ApertureMade("gpu", BAR, BAR + PAGE), ASKED, EMPTY), []),
        ((ApertureMade("gpu", BAR + PAGE, BAR + 2 * PAGE), ASKED, EMPTY), [(3, "gpu")]),
        ((ApertureMade("gpu", 0, PAGE), ASKED, RIGHT), []),
    ],
    "address-works": [
        ((MAPPED, HIT), []),
        ((MAPPED, MISSED), [(2, "gpu")]),
        ((MAPPED, START, STOP, MISSED), []),
    ],
    "asked-each-time": [
        ((PermissionChanged("gpu", "A", False), ASKED, MAPPED), [(3, "gpu")]),
        ((PermissionChanged("gpu", "A", False), PermissionChanged("gpu", "A", True), ASKED, MAPPED), []),
        ((ASKED, PermissionChanged("gpu", "A", False), MAPPED), []),
        ((PermissionChanged("gpu", "A", False), ASKED, PermissionChanged("gpu", "A", True), MAPPED), []),
    ],
    "refusal-keeps-nothing": [
        ((LENT, REFUSED), [(2, "gpu")]),
        ((LENT, LendingEnded("gpu", "nic", BASE, END), REFUSED), []),
        ((LENT, MAPPED, REFUSED), []),
    ],
    "returns-zero": [
        ((P2PMapFailed("nic", "gpu", BASE, END, "EINVAL", 1),), [(1, "gpu")]),
        ((REFUSED,), []),
    ],
    "gone-means-nobody": [
        ((MAPPED, DeviceGone("gpu", "unplug")), [(2, "gpu")]),
        ((MAPPED, BACK, DeviceGone("gpu", "unplug")), []),
        ((MAPPED, DeviceGone("other", "unplug")), []),
    ],
    "content-kept": [
        ((ContentLost("gpu", "A"), ASKED, MAPPED), [(3, "gpu")]),
        ((ContentLost("gpu", "B"), ASKED, MAPPED), []),
        ((ASKED, ContentLost("gpu", "A"), MAPPED), []),
    ],
    "programs-only-valid": [
        ((LENT, START, CALL, DONE, SET), [(5, "nic")]),
        ((LENT, SET, START, CALL, DONE), []),
        ((LENT, START, CALL, DONE, STOP, LENT, SET), []),
        ((ASKED, START, CALL, DONE, MAPPED, SET), [(6, "nic")]),
        ((START, CALL, DONE, ASKED, MAPPED, SET), []),
        ((ASKED, START, CALL, DONE, LENT, MAPPED, SET), []),
    ],
    "own-address": [
        ((MAPPED, TranslationSet("nic2", BASE, (BAR,))), [(2, "nic2")]),
        ((MAPPED, SET), []),
    ],
    "writes-as-asked": [((READS, HIT), [(2, "nic")]), ((MAPPED, HIT), [])],
    "read-only-vma": [
        ((MAPPED, ProtectionChanged("app", BASE, END, False), HIT), [(3, "nic")]),
        ((MAPPED, ProtectionChanged("app2", BASE, END, False), HIT), []),
        (
            (MAPPED, ProtectionChanged("app", BASE, END, False), ProtectionChanged("app", BASE, END, True), HIT),
            [],
        ),
    ],
    "stays-out-of-mm": [
        ((START, CALL, Called("nic", "app", "find_vma", "0x1")), [(3, "nic")]),
        ((START, CALL, Stepped("down_read app.mmap_lock", 1)), [(3, "nic")]),
        ((START, CALL, DONE, Stepped("down_read app.mmap_lock", 1)), []),
        ((START, CALL, ("nic", Stepped("down_read app.mmap_lock", 1))), []),
    ],
    "never-sleeps": [
        ((NotifierStart("app", "UNMAP", BASE, END, False, "read"), CALL, Stepped("lock", 1)), [(3, "nic")]),
        ((START, CALL, Stepped("lock", 1)), []),
    ],
    "refuses-rightly": [((NotifierWarned("app", "nic", "answered -11"),), [(1, "nic")])],
    "gives-up-for-cause": [
        ((START, STOP, ("nic", WaitTimedOut("nic"))), [(3, "nic")]),
        ((START, ("nic", WaitTimedOut("nic"))), []),
        ((NotifierStart("app", "UNMAP", 0, 1, False, "read"), START, STOP, ("nic", WaitTimedOut("nic"))), [(4, "nic")]),
    ],
    "vma-alive": [((UseAfterFree("nic", "a vma"),), [(1, "nic")])],
    "inside-one-vma": [
        ((ASKED,), []),
        ((MapAsked("nic", "gpu", BASE, END + PAGE, BASE, END),), [(1, "nic")]),
        ((MapAsked("nic", "gpu", BASE - PAGE, END, BASE, END),), [(1, "nic")]),
    ],
    "comes-to-an-end": [
        ((*ROUND, *ROUND), []),
        ((*ROUND, *ROUND, *ROUND), [(9, "nic")]),
        ((*ROUND, *ROUND, ASKED, MAPPED, SET, *ROUND), []),
        ((*OVERTAKEN, *OVERTAKEN, *OVERTAKEN), [(15, "gpu")]),
        ((*MOVED, *MOVED, *MOVED, *MOVED), []),
        # A driver may count invalidations of any range: one of another page is a reason, and one that began before.
        ((*ROUND, *ROUND, NEXT_PAGE, NEXT_STOP, *ROUND), []),
        ((*ROUND, *ROUND, ASKED, MAPPED, NEXT_PAGE, NEXT_STOP, BACK, *ROUND), []),
        ((NEXT_PAGE, *ROUND, *ROUND, *ROUND, NEXT_STOP), []),
        ((*ROUND, *ROUND, ASKED, MAPPED, REFUSED, BACK, *ROUND), []),
        # What a process does to its own pages is not the exporter's doing.
        (tuple(ZAPS if entry is START else entry for entry in (*OVERTAKEN, *OVERTAKEN, *OVERTAKEN)), []),
    ],
    "reaper-spares-devices": [
        (
            (
                VmaMapped("app", BASE, END, "rw-s", "gpu:A", 0),
                NotifierStart("app", "UNMAP", BASE, END, False, "read"),
            ),
            [(2, "gpu")],
        ),
        ((VmaMapped("app", BASE, END, "rw-p", "", 0), NotifierStart("app", "UNMAP", BASE, END, False, "read")), []),
    ],
    "hmm-complete": [
        ((HmmRangeMapped("nic", 2, 2, ()), HmmRangeUnmapped("nic", 2, ())), []),
        ((HmmRangeMapped("nic", 2, 1, ()),), [(1, "hmm")]),
        ((HmmRangeUnmapped("nic", 1, (1,)),), [(1, "hmm")]),
    ],
    "needless-invalidation": [
        ((LENT, START, STOP, LENT), [(4, "gpu")]),
        ((LENT, START, STOP, MoveBegun("gpu", "A"), LENT), []),
        ((LENT, LENT), []),
    ],
    "peer-to-peer": [((LENT,), []), ((Lent("gpu", "nic", "A", BASE, (BAR,), ("ram",)),), [(1, "gpu")])],
    "no-overlapping-map": [
        ((LENT, MAPPED, replace(LENT, importer="nic2"), replace(MAPPED, importer="nic2")), [(4, "gpu")]),
        ((LENT, MAPPED, replace(MAPPED, importer="nic2", write=False)), []),
        ((LENT, MAPPED, LendingEnded("gpu", "nic", BASE, END), replace(MAPPED, importer="nic2")), []),
        ((LENT, MAPPED, replace(LENT, importer="nic2", places=("link",)), replace(MAPPED, importer="nic2")), []),
        ((LENT, MAPPED, LENT, MAPPED), []),
    ],
    "everybody-served": [((REFUSED,), [(1, "gpu")]), ((MAPPED, REFUSED), [])],
    "obedience": [
        ((MAPPED, SET, START, STOP), [(4, "nic")]),
        ((MAPPED, SET, START, OTHER_STOP), []),
        ((MAPPED, START, SET, STOP), []),
    ],
}


@pytest.mark.parametrize(
    ("rule", "events", "findings"),
    [(rule, events, findings) for rule, cases in BREAKS.items() for events, findings in cases],
)
def test_a_rule_sees_what_breaks_it_and_nothing_else(rule, events, findings):
    """Each line of the table: a short log, and who is accused at which step."""
    assert found(rule, *events) == findings


@pytest.mark.parametrize(
    ("excuse", "errno"),
    [
        (PermissionChanged("gpu", "A", False), "EACCES"),
        (ObjectDestroyed("gpu", "A"), "ENXIO"),
        (Disaster("gpu", "unplug"), "ENODEV"),
        (Disaster("gpu", "reset"), "EIO"),
    ],
)
def test_predictability_notes_every_excuse(excuse, errno):
    """A second refusal is excused by what the thread lists, and only for the errno that goes with it."""
    refusal = P2PMapFailed("nic", "gpu", BASE, END, errno)
    board = judge(log(MAPPED, excuse, refusal), [RULES["predictability"]])
    assert board.findings == ()
    assert len(board.notes) == 1
    assert "excused" in board.notes[0]
    assert found("predictability", MAPPED, excuse, REFUSED) == [(3, "gpu")]
    assert found("predictability", MAPPED, refusal) == [(2, "gpu")]


def test_every_rule_has_its_kind_and_its_origin():
    """Statement, source, stated or inferred, years; a short class with a docstring."""
    assert {*PROMISES, *PRICES, *DESIGN_PROMISES, *HARDWARE} == set(RULES)
    for rule in RULES.values():
        assert rule.kind in ("promise", "price", "design", "hardware")
        assert rule.years in ("2019", "now", "2019 and now")
        assert rule.promise
        assert rule.source
        assert rule.__doc__


def test_what_rules_remember_are_plain_values():
    """Numbers, text, tuples, frozensets and dicts: so that a search can tell two states apart."""

    def plain(value) -> bool:
        if isinstance(value, dict):
            return all(plain(key) and plain(item) for key, item in value.items())
        if isinstance(value, (tuple, frozenset)):
            return all(plain(item) for item in value)
        return value is None or isinstance(value, (int, str, bytes))

    events = [event for cases in BREAKS.values() for events, _ in cases for event in events]
    board = judge(log(*events), list(RULES.values()))
    odd = {(rule.name, name) for rule in board.rules for name, value in vars(rule).items() if not plain(value)}
    assert odd == set()


def test_goals_are_reached_at_a_step_or_not_at_all():
    """A driver that never maps anything does not comply."""
    assert reached(log(ASKED, MAPPED, HIT)) == {
        "maps": 2,
        "programs": None,
        "moves-data": 3,
        "gives-back": None,
        "takes-back": None,
    }
    assert reached([]) == dict.fromkeys(GOALS)
