"""What a pane sends to its page: what changed, and nothing else."""

from typing import Any

import pytest
import traitlets
from bokeh.plotting import figure

from p2plab.lab.pane import BokehPane
from p2plab.views.picture import Picture


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """The names of the traits in every message from here on."""
    messages: list[set[str]] = []

    def send_state(_pane: BokehPane, key: Any = None) -> None:
        messages.append({key} if isinstance(key, str) else set(key or ["everything"]))

    monkeypatch.setattr(BokehPane, "send_state", send_state)
    return messages


def boxes(colour: str, words: str = "two boxes") -> Picture:
    return Picture(words, {"boxes": {"x": [0, 1], "colour": ["grey", colour]}, "cursor": {"x": [3]}})


def test_only_the_columns_that_changed_are_sent(sent: list[set[str]]):
    """A column that stays, and words that stay, do not travel again."""
    pane = BokehPane("bar-map", figure(), boxes("red"))
    sent.clear()
    pane.show(boxes("blue"))
    assert sent == [{"boxes.colour", "seq"}]
    assert pane.data["boxes"]["colour"] == ["grey", "blue"]


def test_a_picture_that_is_shown_already_sends_nothing(sent: list[set[str]]):
    """Equal pictures, made anew, are one picture."""
    pane = BokehPane("bar-map", figure(), boxes("red"))
    sent.clear()
    pane.show(boxes("red"))
    assert sent == []


def test_another_figure_is_sent_although_its_columns_are_the_same(sent: list[set[str]]):
    """The scene changed; the page has to draw it from the start."""
    pane = BokehPane("bar-map", figure(), boxes("red"))
    sent.clear()
    pane.show(boxes("red"), figure())
    assert sent == [{"item", "seq"}]


def test_a_view_that_opens_later_finds_every_column_as_it_is_now():
    """The whole state is in the traits, whatever was sent before."""
    pane = BokehPane("bar-map", figure(), boxes("red"))
    pane.show(boxes("blue", "two boxes, one blue"))
    state = pane.get_state()
    columns = {name: state[name] for name in state["columns"]}
    assert columns == {"boxes.x": [0, 1], "boxes.colour": ["grey", "blue"], "cursor.x": [3]}
    assert state["alt"] == "two boxes, one blue"


def test_a_column_that_the_figure_was_not_made_with_is_an_error():
    """It would never be drawn."""
    pane = BokehPane("bar-map", figure(), boxes("red"))
    with pytest.raises(traitlets.TraitError, match=r"boxes\.size"):
        pane.show(Picture("", {"boxes": {"size": [1, 2]}}))


def test_two_panes_have_columns_of_their_own():
    """The traits of one are not those of the next."""
    first = BokehPane("bar-map", figure(), boxes("red"))
    second = BokehPane("timeline", figure(), Picture("", {"bars": {"left": [1]}}))
    assert "bars.left" not in first.get_state()
    assert "boxes.x" not in second.get_state()
