"""`p2plab lockdep`: one graph of lock classes over many runs, and what each kernel's lockdep would and would not say."""

import json

import pytest

from p2plab.catalog import CASES
from p2plab.cli import main
from p2plab.core.lock_classes import ANNOTATIONS
from p2plab.drivers.nic import ObedientNic
from p2plab.search.lockdep import of_driver, of_scenes
from tests.golden import golden

CIRCLE, AGAIN = "circular", "recursive"


def reported(code, kernel, driver="broken", seeds=0):
    """The kind of report, empty for silence."""
    learned = of_scenes([(code, CASES[code].scenario, {"driver": driver})], kernel, seeds)
    return learned.report.kind if learned.report else ""


@pytest.mark.parametrize(
    ("code", "by_kernel"),
    [
        ("F3", {"rfc2019": AGAIN, "6.1": AGAIN, "6.12": AGAIN, "6.12-notrace": AGAIN}),
        ("E7", {"rfc2019": AGAIN, "6.1": AGAIN, "6.12": AGAIN, "6.12-notrace": AGAIN}),
        ("F23", {"rfc2019": "", "6.1": CIRCLE, "6.12": CIRCLE, "6.12-notrace": CIRCLE}),
        ("X1", {"rfc2019": "", "6.1": CIRCLE, "6.12": "", "7.3": "", "6.12-notrace": CIRCLE}),
        ("X2", {"rfc2019": "", "6.1": CIRCLE, "6.12": AGAIN, "6.12-notrace": CIRCLE}),
    ],
)
def test_what_lockdep_says_depends_on_the_kernel(code, by_kernel):
    """The scene's own story, once."""
    assert {kernel: reported(code, kernel) for kernel in by_kernel} == by_kernel


@pytest.mark.parametrize(("code", "kernel"), [("X1", "6.1"), ("L1", "7.3"), ("L2", "7.3"), ("L3", "7.3")])
def test_a_circle_is_printed_in_lockdep_s_own_form(code, kernel):
    """The chain in reverse order, and who would do what on which CPU; the good twin is silent."""
    learned = of_scenes([(CASES[code].scenario.name, CASES[code].scenario, {})], kernel, 0)
    golden(f"lockdep-{code}.txt", "\n".join(learned.lines()) + "\n")
    assert reported(code, kernel, "good", seeds=4) == ""


def test_reclaim_then_notifier_then_fence_is_the_order_that_the_kernel_knows():
    """L1 takes reclaim where a fence is due: the chain that closes is the kernel's own."""
    report = of_scenes([("L1", CASES["L1"].scenario, {})], "7.3", 0).report
    assert report.classes == ("fs_reclaim", "mmu_notifier_invalidate_range_start", "dma_fence_map")


@pytest.mark.parametrize("code", ["F4", "F19", "X3"])
def test_a_wait_for_what_is_no_lock_is_none_to_lockdep(code):
    """Each hangs in its story; no kernel's lockdep says a word."""
    assert {reported(code, kernel) for kernel in ANNOTATIONS} == {""}


@pytest.mark.parametrize("kernel", ANNOTATIONS)
def test_all_good_twins_together_make_no_circle(kernel):
    """One graph over all of them, as one kernel would have it."""
    scenes = ((code, case.scenario, {"driver": "good"}) for code, case in CASES.items())
    learned = of_scenes(scenes, kernel, seeds=0)
    assert learned.report is None, "\n".join(learned.lines())
    assert learned.runs == len(CASES)


def test_a_driver_that_takes_two_locks_in_both_orders_is_reported():
    """In every scene that takes it, until the first report."""

    class OneOrder(ObedientNic):
        """Holds its lock too long."""

        async def map(self, start, end):
            """mmap_lock under its own lock."""
            async with self.lock, self.mm.mmap_lock.read():
                pass
            await super().map(start, end)

    report = of_driver(OneOrder, "6.1", seeds=0).report
    assert report.classes == ("&nic->lock", "&mm->mmap_lock")


def test_a_good_driver_is_silent_in_all_scenes():
    """And it says over how many."""
    learned = of_driver(ObedientNic, "6.12-notrace", seeds=0)
    assert learned.report is None
    assert len(learned.scenes) > 30


def test_the_command_says_what_its_silence_covers(capsys):
    """The runs, what lockdep does not know, and the reader that hid something. Exit 0."""
    assert main(["lockdep", "X1", "--kernel", "6.12", "--seeds", "1"]) == 0
    said = capsys.readouterr().out
    assert "lockdep of Linux 6.12: silent after 2 runs" in said
    assert "Its checked reader srcu ended chains here" in said


def test_the_command_s_json_has_the_chain(capsys):
    """As the records of a real kernel have it. Exit 1."""
    assert main(["lockdep", "X1", "--kernel", "6.1", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)["report"]
    chain = ["&gpu->bar", "fs_reclaim", "mmu_notifier_invalidate_range_start", "&nic->lock"]
    assert (report["kind"], report["chain"]) == (CIRCLE, chain)


def test_bad_arguments_exit_2(capsys):
    """A knob with your own driver, and one without a value."""
    assert main(["lockdep", "X1", "--knob", "driver"]) == 2
    assert main(["lockdep", "mine.py:Nic", "X1"]) == 2
    assert "runs in every scene" in capsys.readouterr().err
