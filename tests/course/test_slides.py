"""Slides from a text: each opens its run at its step; what is not there is said with the slide's title."""

import re
import xml.etree.ElementTree as ET

import pytest

from p2plab.core.errors import BadInput
from p2plab.course.beat import (
    AllKept,
    BeatFlies,
    BreaksNow,
    BytesLost,
    EntryIs,
    LentTo,
    LoggedNow,
    NobodyTold,
    SlotsShow,
    StageSays,
    WaitsFor,
)
from p2plab.course.lecture import LECTURE
from p2plab.course.slides import slides_in, slides_page, write_slides
from p2plab.everything import find
from p2plab.rules import judge, watched_by
from p2plab.views.links import told

TEXT = """# Mine
For whoever reads this.

## One
A sentence
in two lines.

Another <one>.
run: E4@12
ask: Why?
## Two
run: F2@break
"""


def test_a_slide_has_its_words_its_question_and_its_run():
    """A code of the catalogue is a scene's name; @break is the step at which its own promise breaks."""
    title, (one, two) = slides_in(TEXT)
    assert title == "Mine"
    assert one.words == ("A sentence in two lines.", "Another <one>.")
    assert (one.ask, one.run, one.step) == ("Why?", find("E4").name, 12)
    run = told(find("F2").name)
    assert two.step == judge(run.log, watched_by(run.scenario)).first("obedience").step


def test_the_page_opens_each_run_where_the_text_says():
    """In the page of all stories; presented from a link; nothing of the text is markup."""
    page = slides_page(TEXT, "all.html")
    assert re.findall(r'data-src="([^"]+)"', page) == [
        f"all.html#{find('E4').name}@12",
        f"all.html#{find('F2').name}@27",
    ]
    assert f'href="all.html#{find("E4").name}@12&amp;present"' in page
    assert "Another &lt;one&gt;." in page
    ET.fromstring(re.search(r"<main>.*</main>", page, re.S)[0].replace(" hidden>", ">"))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("nothing here", "no slide in it"),
        ("## A\nrun: E4", "'E4' is no run"),
        ("## A\nrun: nowhere@3", "slide 'A': "),
        ("## A\nrun: E4@999", "has 50 steps, not 999"),
        ("## A\nrun: defrag-obedient@break", "nothing breaks"),
        ("## A\n" + "x" * 200_001, "too many for slides"),
    ],
)
def test_a_text_that_cannot_be_shown_is_refused(text, word):
    """With the slide and the reason."""
    with pytest.raises(BadInput, match=re.escape(word)):
        slides_in(text)


def test_the_courses_own_slides_are_short_and_their_runs_are_there(tmp_path):
    """A sentence or two each, and a question for the class."""
    _, slides = slides_in(LECTURE)
    assert len(slides) == 14
    assert all(slide.ask and len(" ".join(slide.words)) < 200 for slide in slides)
    assert write_slides(tmp_path / "slides.html").read_text() == slides_page(LECTURE)


#: What each slide of the course says of its run at the step at which it opens.
SAID = {
    "A small window before a large memory": (SlotsShow(("B[0]", "", "", "A[0]", "A[1]", "A[2]", "A[3]", "")),),
    "The NIC has the addresses": (LentTo("nic", (3, 4, 5, 6)), EntryIs("nic", 3, "right"), NobodyTold()),
    "It is told, and does nothing": (
        LoggedNow("NotifierStart"),
        BreaksNow("obedience"),
        EntryIs("nic", 0, "taken back"),
    ),
    "The move": tuple(EntryIs("nic", page, "stale") for page in range(4)),
    "The damage": (LoggedNow("BeatLanded"), BytesLost("C[0] of app2")),
    "The same move, obeyed": (LoggedNow("P2PUnmapped"), EntryIs("nic", 0, "none"), AllKept()),
    "A beat cannot be called back": (BreaksNow("obedience"), EntryIs("nic", 0, "none"), BeatFlies("nic", 0)),
    "Between the answer and the device": (BreaksNow("programs-only-valid"), EntryIs("nic", 0, "stale")),
    "Waiting in a circle": (BreaksNow("no-deadlock"), WaitsFor("gpu", "nic"), WaitsFor("nic", "gpu")),
    "Half of it goes": (EntryIs("nic", 0, "right"), EntryIs("nic", 1, "none")),
    "The exporter promises, too": (BreaksNow("predictability"), LoggedNow("P2PMapFailed")),
    "Gone": (BreaksNow("gone-means-nobody"), StageSays("nic has 2 pages of it")),
    "A bug of 2026": (BreaksNow("no-deadlock"), StageSays("completion")),
}


def test_what_a_slide_says_of_its_run_is_so_at_its_step():
    """Each slide that opens a run; a slide without claims would be one that nobody has checked."""
    _, slides = slides_in(LECTURE)
    shown = {slide.title: slide for slide in slides if slide.run}
    assert shown.keys() == SAID.keys()
    wrong = {
        title: [claim for claim in SAID[title] if not claim.holds(told(slide.run), slide.step)]
        for title, slide in shown.items()
    }
    assert {title: claims for title, claims in wrong.items() if claims} == {}
