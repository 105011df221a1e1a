"""Exporters are judged by what p2p_map returned and by what memory did, whatever their base class was made to say."""

from dataclasses import replace

import pytest

from p2plab.catalog.bench import Plan
from p2plab.course.exercises.scenes import scene_of
from p2plab.drivers.gpu import Gpu
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.search import Pass, Violation, check


class Reverses(Gpu):
    """Turns the answer round after its base class has noted the right one."""

    async def p2p_map(self, vma, peer, start, end, pa, write):
        status = await super().p2p_map(vma, peer, start, end, pa, write)
        pa.reverse()
        return status


class OwnBooks(Gpu):
    """Writes pa itself, below its BAR, and tells its base class nothing."""

    async def p2p_map(self, vma, peer, start, end, pa, write):
        async with self.lock:
            for number in range(len(pa)):
                pa[number] = self.aperture.address(0) - PAGE_SIZE * 100
                self.lent[peer.name, start + number * PAGE_SIZE] = pa[number]
        return 0


class Counts(Gpu):
    """Returns how many pages it gave, as the callback of patch 4/5 does."""

    async def p2p_map(self, vma, peer, start, end, pa, write):
        return await super().p2p_map(vma, peer, start, end, pa, write) or len(pa)


class AnswersWhileMoving(Gpu):
    """Takes back, and goes on answering with the old place until it has moved."""

    def mark_moving(self, thing):
        self.recent = (*self.recent, thing.name)


class Slow(Gpu):
    """Right: it decides under its lock and answers some steps later."""

    async def p2p_map(self, vma, peer, start, end, pa, write):
        status = await super().p2p_map(vma, peer, start, end, pa, write)
        async with self.lock:
            pass
        return status


PLAN = Plan(pages=2, slots=5, then=())


@pytest.mark.parametrize("iommu", [False, True], ids=["bus addresses", "IOVAs"])
@pytest.mark.parametrize(
    ("exporter", "rule"),
    [(Reverses, "right-when-given"), (OwnBooks, "right-when-given"), (Counts, "returns-zero")],
)
def test_a_wrong_answer_is_seen_where_no_dma_ever_runs(exporter, rule, iommu):
    """The first map that returns it breaks the promise, with an IOMMU in front of the importer too."""
    answer = check(scene_of("answers", "one map", replace(PLAN, iommu=iommu, gpu=())), exporter=exporter)
    assert isinstance(answer, Violation)
    assert answer.rule == rule
    assert answer.culprit == "gpu"


def test_an_answer_in_the_middle_of_a_move_is_seen_by_what_its_slot_does():
    """No event of the driver's own says that it moves."""
    answer = check(scene_of("moves", "maps, and a move", PLAN), exporter=AnswersWhileMoving)
    assert isinstance(answer, Violation)
    assert answer.rule in ("no-map-while-moving", "told-before-moved", "told-first")


@pytest.mark.parametrize("exporter", [Gpu, Slow])
@pytest.mark.parametrize("iommu", [False, True], ids=["bus addresses", "IOVAs"])
def test_a_right_exporter_is_not_accused(exporter, iommu):
    """Nor one whose answer was overtaken on its way: that is for the importer to see."""
    answer = check(scene_of("answers", "maps, and a move", replace(PLAN, iommu=iommu)), exporter=exporter)
    assert isinstance(answer, Pass), answer
    assert answer.complete
