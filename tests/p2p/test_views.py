"""The call graph and the damage view: values, and their text twins."""

import pytest

from p2plab import find
from p2plab.catalog import CASES
from p2plab.catalog.verdict import story_run
from p2plab.core.run import Run
from p2plab.drivers.gpu import Gpu
from p2plab.p2p.things import things_of
from p2plab.rules import judge, watched_by
from p2plab.search.drivers import cast
from p2plab.views.callgraph import call_graph, call_graph_text
from p2plab.views.damage import memory_picture, memory_text
from p2plab.views.pictures.call_graph import call_graph_figure, call_graph_picture


class IoremapGpu(Gpu):
    wiring = "ioremap-helper"


class PinnedGpu(Gpu):
    wiring = "vma-dma-map-range-pin"


def graph_of(wiring: str):
    run = Run(find("wirings"), {"wiring": wiring})
    return call_graph(run.told().log)


@pytest.mark.parametrize("wiring", ["as-posted", "as-intended"])
def test_the_exporter_sets_and_only_hmm_calls(wiring):
    """As the series was meant: the posted faults change what the loops do, not who calls whom."""
    assert call_graph_text(graph_of(wiring)).splitlines() == [
        "p2p_map set by gpu",
        "p2p_unmap set by gpu",
        "nic calls hmm.hmm_range_dma_map (2 times)",
        "hmm calls gpu.p2p_map (2 times)",
        "nic calls hmm.hmm_range_dma_unmap (1 time)",
        "hmm calls gpu.p2p_unmap (1 time)",
    ]


def test_in_the_series_alone_nobody_sets_and_nobody_calls():
    """The reviewer's reading: the graph has a party called nobody."""
    graph = graph_of("series-alone")
    assert graph.setters == {"p2p_map": ("nobody",), "p2p_unmap": ("nobody",)}
    assert graph.uncalled == ("p2p_map", "p2p_unmap")
    assert graph.parties == ("nic", "hmm", "nobody")


#: wiring -> who sets, and the way from the importer to the exporter, call by call.
WAYS = {
    "as-intended": ("gpu", ["nic hmm.hmm_range_dma_map", "hmm gpu.p2p_map"]),
    "ioremap-helper": ("mm", ["nic hmm.hmm_range_dma_map", "hmm p2p_ioremap.p2p_map"]),
    "as-reviewer-expected": (
        "hmm", ["nic hmm.hmm_range_dma_map", "hmm mm.vma_p2p_map", "mm hmm.p2p_map", "hmm gpu.p2p_map"]
    ),
    "vma-dma-map-range": ("gpu", ["nic mm.vma_dma_map_range", "mm gpu.p2p_map"]),
    "vma-dma-map-range-pin": ("gpu", ["nic mm.vma_dma_map_range", "mm gpu.pin", "mm gpu.p2p_map"]),
}  # fmt: skip


@pytest.mark.parametrize("wiring", WAYS)
def test_each_wiring_is_a_way_of_its_own(wiring):
    """Who sets, and every call on the way; no two are the same, and each is drawn from the log."""
    setter, way = WAYS[wiring]
    graph = graph_of(wiring)
    assert graph.setters["p2p_map"] == (setter,)
    calls = [f"{e.caller} {e.target}.{e.function}" for e in graph.edges if "p2p_map" in e.function or "map" in way[0]]
    assert [call for call in calls if call in way] == way
    assert len({str(known) for known in WAYS.values()}) == len(WAYS)


def test_the_vma_has_the_ops_of_whoever_set_them():
    """The exporter's own, HMM's, or the helper's, which knows the place in the BAR and asks no driver."""
    kinds = {}
    for wiring in WAYS:
        run = Run(find("wirings"), {"wiring": wiring})
        run = run.told()
        kinds[wiring] = type(things_of(run.world).spaces[0].vmas[0].vm_ops).__name__
    assert kinds == {
        "as-intended": "Gpu", "ioremap-helper": "IoremapOps", "as-reviewer-expected": "HmmOps",
        "vma-dma-map-range": "Gpu", "vma-dma-map-range-pin": "PinningGpu",
    }  # fmt: skip


def test_a_helper_keeps_the_place_that_an_exporter_gives_up():
    """It fits a BAR that never moves: under a GPU that defragments, the second answer is where the object was."""
    run = Run(cast(find("defrag-obedient"), exporter=IoremapGpu))
    run = run.told()
    assert "right-when-given" in {finding.rule for finding in judge(run.log, watched_by(run.scenario)).findings}


def test_a_pin_may_be_refused():
    """By an exporter without main memory, with -EOPNOTSUPP, and nothing is mapped."""
    run = Run(cast(find("defrag-obedient"), exporter=PinnedGpu))
    run = run.told()
    failed = [entry.event for entry in run.log if entry.event.kind == "P2PMapFailed"]
    assert [event.errno for event in failed] == ["EOPNOTSUPP"]


def test_the_picture_has_a_head_on_each_line():
    """From edge to edge of the boxes, with an arrowhead at the called one."""
    run = Run(find("wirings"))
    run = run.told()
    picture = call_graph_picture(run, len(run))
    calls, parties = picture.data["calls"], picture.data["parties"]
    places = dict(zip(parties["label"], zip(parties["x"], parties["y"], strict=True), strict=True))
    assert not {(x, y) for x, y in zip(calls["x1"], calls["y1"], strict=True)} & set(places.values())
    assert [kind for kind in call_graph_figure(run).center if type(kind).__name__ == "Arrow"]


def test_memory_is_shown_with_owner_generation_and_damage():
    """F1: whose frame the stale write destroyed, in the picture and in its words."""
    picture = memory_picture(story_run(CASES["F1"]))
    assert memory_text(picture).splitlines() == [
        "gpu   0  B[0]   app2   gen 1  slot 0     B[0] of app2....",
        "gpu   1  A[0]   app    gen 1  slot 1     DMA page 0######",
        "gpu   2  A[1]   app    gen 1  slot 2     A[1] of app.....",
        "gpu   3  C[0]   app2   gen 1  slot 3     DMA page 1######  DAMAGED",
        'step 32: nic meant A[1] and overwrote C[0] of app2 at 0xe8003000: "C[0] of app2" is now "DMA page 1"',
    ]
    assert picture.alt == "Device memory: 4 frames in use; overwritten by stray DMA: C[0] of app2."


def test_before_the_damage_there_is_none():
    """At an earlier step the picture is of then."""
    run = story_run(CASES["F1"])
    assert memory_picture(run, 20).damage == ()
    assert memory_picture(run, 20).alt == "Device memory: 4 frames in use; none overwritten by stray DMA."


def test_a_leak_a_loss_and_main_memory_have_words_of_their_own():
    """Stale reads leak; accesses that nobody answers are counted; fallback pages are rows too."""
    leak = Run(find("f1"), {"dma": "read"}).told()
    assert "read by stray DMA: C[0] of app2" in memory_picture(leak).alt
    assert "1 accesses reached nobody" in memory_picture(story_run(CASES["E12"])).alt
    rows = memory_picture(story_run(CASES["E5"])).rows
    assert [(row.page, row.shown) for row in rows if row.memory == "main memory"] == [
        ("A[0]", "main memory"),
        ("A[1]", "main memory"),
    ]


def test_a_reset_shows_as_a_generation():
    """E18: the same object, the same slot, the next generation, and no bytes."""
    row = next(row for row in memory_picture(story_run(CASES["E18"])).rows if row.page == "A[0]")
    assert (row.generation, row.text) == (2, "." * 16)
