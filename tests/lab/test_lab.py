"""The widgets, clicked in Python: every handler goes through the guard, and the views follow."""

import pytest

from p2plab.core.errors import BadInput
from p2plab.lab import Lab


def test_a_click_changes_all_views_and_no_error_stays():
    """The same four presses as in the first notebook."""
    lab = Lab("workbench", importer="ignorant")
    for button in (lab.buttons["map"], lab.buttons["dma"], *[lab.forward] * 3, lab.buttons["defrag"], lab.rest):
        assert not button.disabled
        button.click()
        assert lab.guard.last is None, lab.guard.strip.value
    assert "Broken: <b>obedience</b> at step" in lab.verdict.value
    assert "overwrote C[0] of app2" in lab.damage.value
    assert "4 stale" in lab.panes["address-space"].alt
    assert lab.panes["bar-map"].data["slots"]["label"][:8] == [
        "B[0]",
        "A[0]",
        "A[1]",
        "A[2]",
        "A[3]",
        "C[0]",
        "C[1]",
        "C[2]",
    ]
    assert lab.panes["timeline"].data["marks"]["label"] == ["obedience", "no-stale-dma"]
    assert lab.session.token in lab.token.value


def test_a_handler_that_raises_is_shown_and_the_next_success_clears_it():
    """With the type of the error, escaped, and where it happened."""
    lab = Lab("workbench")
    lab.session.press = lambda *_: 1 / 0
    lab.buttons["map"].click()
    assert isinstance(lab.guard.last, ZeroDivisionError)
    assert 'role="alert"' in lab.guard.strip.value
    assert "ZeroDivisionError: division by zero" in lab.guard.strip.value
    assert "&lt;lambda&gt;" in lab.guard.strip.value
    del lab.session.press
    lab.buttons["map"].click()
    assert lab.guard.last is None
    assert lab.guard.strip.value == ""


def test_refusals_are_sentences_in_the_page():
    """A bad token, an impossible pair of knobs: said, and the controls show what is true."""
    lab = Lab("workbench")
    lab.paste.value = "p2p1.nonsense"
    lab.opener.click()
    assert "the token is damaged" in lab.guard.strip.value
    lab.knobs["pages"].value = 12
    assert "slots=8 is not possible with pages=12" in lab.guard.strip.value
    assert lab.knobs["pages"].value == 4


def test_buttons_that_make_no_sense_say_why():
    """Disabled, with the reason as tooltip."""
    lab = Lab("workbench")
    assert lab.buttons["dma"].disabled
    assert lab.buttons["dma"].tooltip == "not now: the NIC has mapped nothing"
    lab.buttons["map"].click()
    assert not lab.buttons["dma"].disabled
    assert lab.buttons["dma"].tooltip == "the NIC starts a transfer over A"


def test_the_slider_moves_the_views_and_not_the_run():
    """Step 0 shows a world just built."""
    lab = Lab("defrag-ignorant")
    token = lab.session.token
    lab.slider.value = 0
    assert lab.guard.last is None
    assert "Step 0 of" in lab.panes["timeline"].alt
    assert "B[0] - - A[0] A[1] A[2] A[3] -" in lab.panes["bar-map"].alt
    assert "No rule is broken so far." in lab.verdict.value
    assert lab.session.token == token


def test_more_pages_make_another_figure():
    """The axes follow the knobs."""
    lab = Lab("workbench")
    before = lab.panes["bar-map"].item
    lab.knobs["slots"].value = 12
    assert lab.guard.last is None
    assert lab.panes["bar-map"].item != before
    assert len(lab.panes["bar-map"].data["slots"]["x"]) == 12


def test_only_what_changed_is_sent():
    """A step of the DMA engine's look-up does not resend the address space."""
    lab = Lab("workbench")
    lab.buttons["map"].click()
    lab.buttons["dma"].click()
    before = {name: pane.seq for name, pane in lab.panes.items()}
    lab.forward.click()
    after = {name: pane.seq for name, pane in lab.panes.items()}
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {"bar-map", "timeline"}


def test_two_labs_do_not_disturb_each_other():
    """Each has its own run."""
    one, two = Lab("workbench"), Lab("workbench")
    token = two.session.token
    one.buttons["map"].click()
    assert two.session.token == token
    assert one.session.token != token


def test_without_a_kernel_the_text_is_shown():
    """The bundle's plain text is the run's own text."""
    bundle = Lab("defrag-ignorant")._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "BROKEN: obedience" in bundle["text/plain"]


def test_unknown_scenes_and_knobs_are_errors_of_the_cell():
    """As any other error in a notebook."""
    with pytest.raises(BadInput, match="there is no scene"):
        Lab("nonsense")
    with pytest.raises(BadInput, match="has no knob 'colour'"):
        Lab("workbench", colour="red")


def test_everything_from_a_run_is_escaped():
    """Words of a run can hold what a driver's author put there."""
    from p2plab.lab.board import board_html
    from p2plab.rules import Finding, Rule
    from p2plab.rules.base import Board

    class Nasty(Rule):
        name, promise, source, stated = "<i>", "<script>", "<b>", False

    board = Board((Nasty(),), (Finding("<i>", 1, "x", "x", "<img src=x onerror=alert(1)>"),))
    html = board_html(board)
    assert "<script>" not in html
    assert "<img" not in html
