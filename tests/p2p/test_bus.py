"""What a bus, a device and an IOMMU may do that no driver sees: answers of nobody, writes that pass, caches that keep."""

import pytest

from p2plab.catalog import CASES
from p2plab.catalog.verdict import board, story_run
from p2plab.core.run import Run
from p2plab.core.schedule import by_text
from p2plab.p2p.iommu import Iommu
from p2plab.rules.damage import damage


def events(run, kind):
    return [entry.event for entry in run.log if entry.event.kind == kind]


def told(code, driver="broken", **knobs):
    """A case's story with some knobs."""
    scene = CASES[code].scenario
    return Run(scene, {"driver": driver, **knobs}).told(5000)


@pytest.mark.parametrize(("driver", "why"), [("broken", "done"), ("good", "failed")])
@pytest.mark.parametrize("dma", ["write", "read"])
def test_what_nobody_answers_is_done_only_for_a_device_that_does_not_look(driver, why, dma):
    """H1: the GPU is pulled out; all ones are read, posted writes vanish, and one device reads the last page back."""
    run = told("H1", driver, dma=dma)
    assert [event.why for event in events(run, "TransferEnded")] == [why]
    assert [event.after for event in events(run, "BeatLanded") if not event.frame][-1] == b"\xff" * 16
    assert board(run).first("all-ones-are-no-data") is None or driver == "broken"


def test_a_device_that_is_pulled_out_is_nobody_s_broken_promise():
    """No driver was asked: the exporter is accused of nothing, and a note says why."""
    found = board(story_run(CASES["H1"], "good"))
    assert found.findings == ()
    assert any("pulled out" in note for note in found.notes)


@pytest.mark.parametrize(("driver", "order"), [("broken", [1, 0]), ("good", [0, 1])])
def test_a_relaxed_flag_passes_its_data_and_one_in_order_does_not(driver, order):
    """H2: the second page is the flag; with relaxed ordering for the data alone it stays behind them."""
    pages = [event.page // 4096 % 16 for event in events(told("H2", driver), "BeatLanded")]
    assert pages == order


def test_relaxed_data_may_pass_each_other_and_the_flag_still_comes_last():
    """Three pages of data in whatever order: the rule is about the flag alone."""
    scene = CASES["H2"].scenario
    story = by_text("app nic nic_dma*4 nic_passing*2 ...", strict=False)
    run = Run(scene, {"driver": "good", "pages": 4}).driven(story, 5000)
    pages = [event.page // 4096 % 16 for event in events(run, "BeatLanded")]
    assert pages[0] == 1
    assert pages[-1] == 3
    assert board(run).findings == ()


def test_a_kept_translation_damages_another_process_with_everybody_obedient_and_the_iommu_on():
    """H3: the IOVA of A[1]'s old place is A[0]'s now, and the device goes where it led before."""
    hits = damage(told("H3").log)
    assert [(hit.meant, hit.frame, hit.owner) for hit in hits] == [("A[0]", "C[0]", "app2")]
    assert damage(told("H3", "good").log) == ()


def test_a_lazy_flush_lets_a_disobedient_device_through():
    """F1 with iommu=on faults; with iommu=lazy what it used before is still reached, and C is overwritten."""
    hits = damage(told("H4").log)
    assert ("A[1]", "C[0]", "app2") in [(hit.meant, hit.frame, hit.owner) for hit in hits]
    assert events(told("H4"), "IommuFault") == []
    assert board(told("H4", "good")).findings == ()


def test_the_flush_queue_frees_an_iova_only_when_it_is_flushed():
    """Until then it is not given out again, and what was used still leads where it led."""
    iommu = Iommu(lazy=True)
    first = iommu.map("nic", 0x1000)
    assert iommu.access("nic", first, True) == (0x1000, "")
    iommu.unmap("nic", first)
    assert iommu.access("nic", first, True) == (0x1000, "IOTLB")
    assert iommu.map("nic", 0x2000) != first
    iommu._flush()
    assert iommu.access("nic", first, True) == (None, "")
    assert iommu.map("nic", 0x3000) == first


@pytest.mark.parametrize(("ats", "goes"), [("off", (0x2000, "")), ("on", (0x2000, "")), ("kept", (0x1000, "ATC"))])
def test_only_a_cache_that_nobody_drops_survives_the_reuse_of_an_iova(ats, goes):
    """The same IOVA, another page."""
    iommu = Iommu(ats=ats)
    iova = iommu.map("nic", 0x1000)
    iommu.access("nic", iova, True)
    iommu.unmap("nic", iova)
    assert iommu.map("nic", 0x2000) == iova
    assert iommu.access("nic", iova, True) == goes


def test_a_cached_mapping_for_reading_still_refuses_writes():
    """What is cached is the entry with its permission."""
    iommu = Iommu(ats="on")
    iova = iommu.map("nic", 0x1000, write=False)
    assert iommu.access("nic", iova, False) == (0x1000, "")
    assert iommu.access("nic", iova, True) == (None, "")
