"""``p2plab story``: titles, a story in words, a beat with its picture."""

import json

import pytest

from p2plab.cli import main
from p2plab.course.stories import STORIES


def test_without_a_notebook_it_lists_the_titles(capsys):
    """One line each, and how to go on."""
    assert main(["story"]) == 0
    out = capsys.readouterr().out
    assert all(f"{story.number}  {story.title}" in out for story in STORIES.values())


def test_a_beat_has_its_words_its_picture_and_its_token(capsys):
    """In 72 columns but for the token; the words of all beats without --beat."""
    story = STORIES["06"]
    assert main(["story", "6"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert all(beat.words in out for beat in story.beats)
    assert main(["story", "06", "--beat", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2. F12, step 38"
    assert any("nic overwrote “C[0] of app2” at step 38" in line for line in lines)
    assert lines[-1].startswith("token: p2p1.f12-partial-range")
    assert main(["story", "06", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stories"][0]["beats"][1]["step"] == 38


@pytest.mark.parametrize(
    ("words", "said"),
    [(["14"], "no story '14'"), (["06", "--beat", "9"], "beats 1 to 5"), (["--beat", "1"], "needs a story")],
)
def test_what_is_not_there_is_bad_input(words, said, capsys):
    """Exit 2, and what there is."""
    assert main(["story", *words]) == 2
    assert said in capsys.readouterr().err
