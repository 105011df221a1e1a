"""The figures fit the columns that they are fed with."""

import logging

import pytest
from bokeh.core.enums import HatchPattern
from bokeh.models import GlyphRenderer, GroupFilter

from p2plab.core.run import Run
from p2plab.everything import SCENES, find
from p2plab.lab import Lab, MachineLab, MemoryLab
from p2plab.views.picture import CROSSES, LINES, PLAIN, Look
from p2plab.views.pictures import PICTURES
from p2plab.views.pictures.bar_map import bar_map, bar_map_figure


@pytest.mark.parametrize(
    "make", [lambda: all_pictures(Lab("defrag-ignorant")), MachineLab, MemoryLab], ids=["run", "machine", "memory"]
)
def test_the_drawing_library_has_no_complaint(make, caplog: pytest.LogCaptureFixture):
    """It says on its log, and only there, that a glyph names a column that does not exist."""
    with caplog.at_level(logging.WARNING):
        make()
    assert caplog.messages == []


def all_pictures(lab: Lab) -> None:
    """Open every part of the drawer that draws."""
    for name in lab.more.parts:
        lab.more.open(name)
    assert lab.guard.last is None


def test_hatching_is_drawn_for_the_rows_that_ask_for_it():
    """One pattern for a whole glyph, over the rows of its kind; every kind that a map uses has its glyph."""
    scene = find("defrag-obedient")
    run = Run(scene).told()
    figure = bar_map_figure(run)
    filters = [
        glyph.view.filter for glyph in figure.select(GlyphRenderer) if isinstance(glyph.view.filter, GroupFilter)
    ]
    assert {(kind.column_name, kind.group) for kind in filters} == {("hatch", LINES), ("hatch", CROSSES)}
    used = {hatch for step in range(len(run) + 1) for hatch in bar_map(run, step).data["slots"]["hatch"]}
    assert used - {PLAIN} == {LINES, CROSSES}


def test_every_hatch_of_every_scene_has_its_glyph():
    """What no glyph is there for is drawn as nothing, without a word: then colour alone would tell stale from right."""
    used = set()
    for scene in SCENES.values():
        run = Run(scene).told()
        for step in (len(run) // 2, len(run)):
            used |= set(bar_map(run, step).data["slots"]["hatch"])
    assert used == {PLAIN, LINES, CROSSES}
    assert used - {PLAIN} <= set(HatchPattern)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_of_the_list_shows_any_run(name: str, caplog: pytest.LogCaptureFixture):
    """At its first and its last step it has words, and its figure has a source for each group of its columns."""
    picture = PICTURES[name]
    for scene in ("defrag-ignorant", "c3-reaper-and-devices", "design-p2pdma-pages", "policies"):
        run = Run(find(scene)).told()
        figure = picture.figure(run) if picture.figure is not None else None
        for step in (0, len(run)):
            drawn = picture.draw(Look(run, step))
            assert drawn.alt.endswith(".")
            if figure is None:
                assert picture.table is not None
                assert "data-view=" in picture.table(Look(run, step))
                continue
            for source, columns in drawn.data.items():
                assert set(columns) <= set(figure.select_one({"name": source}).data)
    assert caplog.messages == []
