"""Lockdep as a reading of runs: what each kernel's would report, and in which words."""

import pytest

from p2plab.core.lock_classes import ANNOTATIONS, Annotations, Lockdep, class_of

NOTIFIER = "mmu_notifier_invalidate_range_start"


def lockdep(history, kernel="6.12"):
    """What a kernel's lockdep makes of one history: ``who what lock mode``, one a line."""
    found = Lockdep(ANNOTATIONS[kernel])
    words = (line.split() for line in history.strip().splitlines())
    found.feed(((what, who, lock, (*rest, "mutex")[0]) for who, what, lock, *rest in words), "a test")
    return found


def take(who, *locks):
    """Lines that take locks, each under the one before, and let them go."""
    up = [f"{who} {what} {lock}" for lock in locks for what in ("wants", "takes")]
    return "\n".join((*up, *(f"{who} releases {lock}" for lock in reversed(locks)))) + "\n"


def test_locks_of_one_kind_are_one_class():
    """By the owner's kind and the lock's name; the kernel's own locks have the kernel's names."""
    assert class_of("nic.lock") == class_of("nic2.lock") == "&nic->lock"
    assert class_of("app.mmap_lock") == class_of("app2.mmap_lock") == "&mm->mmap_lock"


def test_two_orders_are_a_circle_whoever_took_them():
    """Two tasks, two instances, two runs: the classes close it."""
    found = lockdep(take("a", "nic.lock", "gpu.bar"))
    assert found.report is None
    found.feed([("wants", "b", "gpu.bar", "mutex"), ("takes", "b", "gpu.bar", "mutex")], "another run")
    found.feed([*(("wants", "b", "gpu.bar", "mutex"), ("takes", "b", "gpu.bar", "mutex"))], "a third")
    found.feed(
        [
            ("wants", "b", "gpu2.bar", "mutex"),
            ("takes", "b", "gpu2.bar", "mutex"),
            ("wants", "b", "nic7.lock", "mutex"),
        ],
        "a fourth",
    )
    assert found.report.classes == ("&nic->lock", "&gpu->bar")
    assert found.report.chain[0].where == "a, in a test"


def test_a_class_taken_twice_is_a_recursion():
    """Also two instances of it, and readers; a recursive reader may."""
    assert lockdep("a wants x.lock\na takes x.lock\na wants x2.lock").report.kind == "recursive"
    assert lockdep("a wants x.s read\na takes x.s read\na wants x.s read").report.kind == "recursive"
    assert lockdep("a enters srcu\na enters srcu").report is None


def test_a_trylock_waits_for_nobody():
    """What is got by trying depends on nothing; what is taken under it does."""
    tried = "a takes x.lock\na wants y.lock\na takes y.lock\na releases y.lock\na releases x.lock\n"
    assert lockdep(tried + "b wants y.lock\nb takes y.lock\nb takes x.lock").report is None
    assert lockdep(tried + "b wants y.lock\nb takes y.lock\nb wants x.lock").report.kind == "circular"


@pytest.mark.parametrize(("kernel", "kind"), [("6.1", "circular"), ("6.12", ""), ("6.12-notrace", "circular")])
def test_a_checked_recursive_reader_ends_every_chain(kernel, kind):
    """The lock of a callback of 2019, and one around the notifier: 6.12 says nothing."""
    callback = f"a wants x.lock\na takes x.lock\na enters {NOTIFIER}\na enters srcu\na wants n.lock\na takes n.lock\n"
    ends = f"a releases n.lock\na leaves srcu\na leaves {NOTIFIER}\na releases x.lock\n"
    report = lockdep(callback + ends + "b wants n.lock\nb takes n.lock\nb wants x.lock", kernel).report
    assert (report.kind if report else "") == kind


def test_an_unchecked_reader_is_passed_over():
    """As if it were not there."""
    history = [("enters", "a", "srcu", "read"), ("wants", "a", "n.lock", "mutex")]
    found = Lockdep(Annotations("a kernel", srcu="unchecked"))
    found.feed(history, "a test")
    assert "n" not in found.after.get("srcu", {})


def test_lockdep_stops_at_its_first_report():
    """Its books are not kept after that."""
    found = lockdep("a wants x.lock\na takes x.lock\na wants x.lock")
    first = found.report
    found.feed(
        [("wants", "b", "y.lock", "mutex"), ("takes", "b", "y.lock", "mutex"), ("wants", "b", "y.lock", "")], "on"
    )
    assert found.report is first
