"""The call graph and the damage view: values, and their text twins."""

import pytest

from p2plab import find
from p2plab.catalog import CASES
from p2plab.catalog.verdict import story_run
from p2plab.core.run import Run
from p2plab.core.schedule import by_text
from p2plab.views.callgraph import call_graph, call_graph_text
from p2plab.views.damage import memory_picture, memory_text


def graph_of(wiring: str):
    run = Run(find("wirings"), {"wiring": wiring})
    return call_graph(run.driven(by_text(run.scenario.story, strict=False)).log)


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


def test_as_the_reviewer_expected_hmm_sets_and_core_code_calls():
    """Every edge of the way from the importer to the exporter."""
    graph = graph_of("as-reviewer-expected")
    assert graph.setters["p2p_map"] == ("hmm",)
    assert [(e.caller, e.target, e.function) for e in graph.edges][:4] == [
        ("nic", "hmm", "hmm_range_dma_map"),
        ("hmm", "mm", "vma_p2p_map"),
        ("mm", "hmm", "p2p_map"),
        ("hmm", "gpu", "p2p_map"),
    ]


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
    leak = Run(find("f1"), {"dma": "read"}).driven(by_text(find("f1").story, strict=False))
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
