"""The five-minute stories: every sentence rests on claims that hold in its run, at its step."""

from pathlib import Path

import pytest

from p2plab.core.errors import BadInput
from p2plab.course import beat as beats
from p2plab.course.beat import BreaksNow, EntryIs, LoggedNow, NobodyTold, StoryBeat
from p2plab.course.stories import STORIES, story_of
from p2plab.course.story_links import beats_list, stories_md
from p2plab.course.widgets import StoryLab

ROOT = Path(__file__).parents[2]


def test_each_notebook_has_a_story_of_a_few_beats():
    """00 to 13; four to six moments, each in one to three sentences, and with at least one claim."""
    assert list(STORIES) == [f"{number:02}" for number in range(14)]
    for story in STORIES.values():
        assert 4 <= len(story.beats) <= 6
        for beat in story.beats:
            assert 1 <= beat.words.count(". ") + 1 <= 3
            assert beat.words.endswith(".")
            assert beat.claims


@pytest.mark.parametrize("story", STORIES.values(), ids=lambda story: story.number)
def test_every_claim_of_every_beat_holds(story):
    """In the run that is shown, at the step that is shown."""
    assert [(beat.where, beat.wrong()) for beat in story.beats if beat.wrong()] == []


def test_a_claim_that_is_not_so_is_found():
    """Each kind of claim is false somewhere: a check that cannot fail would prove nothing."""
    nowhere = {
        "LoggedNow": ("NoSuchEvent",),
        "NobodyTold": (),
        "EntryIs": ("nic", 0, "none"),
        "PageIs": ("app", 0, "C[0]", False),
        "SlotsShow": (("A[0]",),),
        "LentTo": ("nic", (0,)),
        "BytesLost": ("A[9] of app",),
        "BeatFlies": ("nic", 9),
        "WaitsFor": ("app", "gpu"),
        "HoldsLock": ("app", "nic.lock"),
        "CallRuns": ("app", "gpu", "p2p_map"),
        "BreaksNow": ("no-deadlock",),
        "AllKept": (),
        "StageSays": ("nothing of the kind",),
    }
    kinds = {name for name, kind in vars(beats).items() if hasattr(kind, "holds") and name != "BeatClaim"}
    assert kinds == set(nowhere)
    claims = tuple(getattr(beats, name)(*arguments) for name, arguments in nowhere.items())
    assert StoryBeat("defrag-ignorant", 34, "", claims).wrong() == list(claims)
    late = StoryBeat("defrag-ignorant", 99, "", (NobodyTold(),))
    assert late.wrong() == [NobodyTold()]
    true = (LoggedNow("MoveEnded"), EntryIs("nic", 0, "stale"))
    assert StoryBeat("defrag-ignorant", 27, "", (*true, BreaksNow("obedience"))).wrong() == [BreaksNow("obedience")]


def test_the_docs_have_the_stories_as_they_are():
    """docs/stories.md is written by p2plab.course.story_links.stories_md()."""
    assert (ROOT / "docs" / "stories.md").read_text(encoding="utf-8") == stories_md()


def test_the_page_links_every_beat():
    """One link for each, by number of story and beat."""
    page = beats_list()
    for number, story in STORIES.items():
        assert page.count(f'href="#story={number}/') == len(story.beats)


def test_the_widget_tells_it_beat_by_beat():
    """On and back by the stage's buttons; steps between beats may be looked at; all of it is there as text."""
    shown = StoryLab(6)
    beats = shown.story.beats
    assert shown.stage.options["beat"]["words"] == beats[0].words
    assert shown.stage.moment["step"] == beats[0].step
    for number, beat in enumerate(beats, 1):
        shown.stage._handle_custom_msg({"beat": number}, [])
        assert (shown.at, shown.stage.moment["step"]) == (number, beat.step)
        assert shown.stage.scene["name"] == beat.run.scenario.name
    shown.stage._handle_custom_msg({"look": 3}, [])
    assert shown.stage.moment["step"] == 3
    shown.stage._handle_custom_msg({"beat": len(beats) + 1}, [])
    assert "has beats 1 to" in shown.guard.strip.value
    assert all(beat.words in shown.as_text() for beat in beats)


def test_a_story_that_is_not_there_is_named():
    """With those that are."""
    with pytest.raises(BadInput, match="there is no story '14'; there are 00, 01"):
        story_of("14")
    assert story_of("6") is story_of(6) is STORIES["06"]
