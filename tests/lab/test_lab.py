"""The lab, used from Python: every handler goes through the guard, and the stage follows."""

import dataclasses

import pytest

from p2plab import find
from p2plab.core.errors import BadInput
from p2plab.core.run import Run
from p2plab.core.token import token_of
from p2plab.drivers.pinned import PinsUntilUnmap
from p2plab.lab import Lab
from p2plab.lab.session import Session
from p2plab.lab.stage import StagePane


def on_stage(lab: Lab, **message: object) -> None:
    """What a person does on the stage, as the browser sends it."""
    lab.stage._handle_custom_msg({"step": lab.session.step, **message}, [])


def words(lab: Lab, row: str) -> list[str]:
    """The first line of each cell of a row, in its longest form."""
    return [cell["l"][0][0] for cell in lab.stage.moment[row]]


def test_a_click_changes_the_stage_and_no_error_stays():
    """The same presses as in the first notebook, with the buttons of the bar."""
    lab = Lab("workbench", importer="ignorant")
    for message in ({"press": "map"}, {"press": "dma"}, *[{"do": "step"}] * 3, {"press": "defrag"}, {"do": "run on"}):
        on_stage(lab, **message)
        assert lab.guard.last is None, lab.guard.strip.value
    assert set(lab.stage.broken) == {"obedience", "no-stale-dma"}
    assert "app2 loses its bytes" in lab.stage.said
    assert [way["c"] for way in lab.stage.moment["ways"] if way["k"].startswith("nic:")] == ["stale"] * 3
    assert words(lab, "slots") == ["B[0]", "A[0]", "A[1]", "A[2]", "A[3]", "C[0]", "C[1]", "C[2]"]
    assert words(lab, "frames")[5] == "✗ DMA page 2"
    assert lab.session.token in lab.share.token.value


def test_the_drawer_has_the_same_buttons_and_more():
    """Each action, who steps next, in which order everybody runs on."""
    lab = Lab("workbench", importer="ignorant")
    for button in (lab.buttons["map"], lab.buttons["dma"], *[lab.forward] * 3, lab.buttons["defrag"], lab.rest):
        assert not button.disabled
        button.click()
        assert lab.guard.last is None, lab.guard.strip.value
    assert set(lab.stage.broken) == {"obedience", "no-stale-dma"}


def test_what_no_lab_understands_is_refused():
    """A message that is none of ours changes nothing, and is said."""
    lab = Lab("workbench")
    token = lab.session.token
    on_stage(lab, nonsense=1)
    assert "the lab does not know what" in lab.guard.strip.value
    on_stage(lab, scene="nonsense")
    assert "there is no scene" in lab.guard.strip.value
    on_stage(lab, knob=["colour", "red"])
    assert "has no knob" in lab.guard.strip.value
    assert lab.session.token == token


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
    lab.share.paste.value = "p2p1.nonsense"
    lab.share.opener.click()
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
    assert lab.buttons["dma"].tooltip == "nic: The user rings the doorbell: one transfer over the whole range."


def test_looking_at_a_step_moves_the_stage_and_not_the_run():
    """Step 0 shows a world just built; a step forward from there goes on in the same run."""
    lab = Lab("defrag-ignorant")
    token = lab.session.token
    on_stage(lab, look=0)
    assert lab.guard.last is None
    assert lab.stage.said == "Everything is in place, and nothing has happened yet."
    assert words(lab, "slots") == ["B[0]", "free", "free", "A[0]", "A[1]", "A[2]", "A[3]", "free"]
    assert lab.stage.broken == {}
    on_stage(lab, do="step")
    on_stage(lab, do="step")
    assert (lab.session.step, lab.session.token) == (2, token)
    on_stage(lab, do="run on")
    assert (lab.session.step, lab.session.token) == (36, token)


def test_a_press_at_an_earlier_step_is_another_run():
    """The one that was left is kept as a token."""
    lab = Lab("defrag-ignorant")
    token = lab.session.token
    on_stage(lab, look=18)
    on_stage(lab, press="invalidate")
    assert lab.guard.last is None, lab.guard.strip.value
    assert lab.session.token != token
    assert lab.session.forked.token == token


def test_more_slots_make_a_longer_row():
    """The knobs are in the bar and in the drawer."""
    lab = Lab("workbench")
    lab.knobs["slots"].value = 12
    assert lab.guard.last is None
    assert len(lab.stage.moment["slots"]) == 12
    on_stage(lab, knob=["importer", "ignorant"])
    assert lab.knobs["importer"].value == "ignorant"


def test_only_what_changed_is_sent():
    """A step resends neither the drivers' source nor the rules."""
    lab = Lab("workbench")
    on_stage(lab, press="map")
    on_stage(lab, press="dma")
    sent = []
    lab.stage.observe(lambda change: sent.append(change["name"]))
    on_stage(lab, do="step")
    assert set(sent) == {"run", "moment", "seq", "edition", "near"}


def near(lab: Lab) -> dict[int, dict]:
    """The moments around the one that is shown, as the browser makes them."""
    stage = lab.stage
    assert (stage.near["edition"], stage.near["step"]) == (stage.edition, stage.moment["step"])

    def changed(name: str, change: object) -> object:
        old = stage.moment[name]
        if not isinstance(old, list) or not isinstance(change, dict):
            return change
        return [change["at"].get(str(place), value) for place, value in enumerate(old)]

    return {
        int(step): {**stage.moment, **{name: changed(name, change) for name, change in moment.items()}}
        for step, moment in stage.near["moments"].items()
    }


def test_the_moments_around_the_one_that_is_looked_at_travel_after_it():
    """Of a new run the one before; of one that is looked through four to each side, each once."""
    lab = Lab("defrag-obedient")
    end = len(lab.session.run)
    assert set(near(lab)) == {end - 1}
    on_stage(lab, look=end - 1)
    assert set(near(lab)) == set(range(end - 5, end - 1))
    assert near(lab)[end - 3] == lab.stage.json_of(lab.session.run, end - 3)
    edition = lab.stage.edition
    on_stage(lab, look=10)
    assert set(near(lab)) == {6, 7, 8, 9, 11, 12, 13, 14}
    on_stage(lab, look=11)
    assert set(near(lab)) == {15}
    assert lab.stage.edition == edition


def test_a_run_that_goes_on_keeps_what_the_browser_has_of_it():
    """Each new step is sent alone: those before it are still true. A sentence of a press was not that step's own."""
    lab = Lab("workbench")
    on_stage(lab, press="map")
    on_stage(lab, press="dma")
    edition, first = lab.stage.edition, len(lab.session.run)
    had = {}
    for _ in range(6):
        on_stage(lab, do="step")
        assert lab.stage.edition == edition + 1
        had |= near(lab) if lab.stage.near["step"] == lab.stage.moment["step"] else {}
        had[lab.session.step] = dict(lab.stage.moment)
    assert sorted(had) == list(range(first, first + 7))
    again = Run(lab.session.run.scenario, lab.session.run.settings, lab.session.run.schedule)
    assert had == {step: StagePane().json_of(again, step) for step in had}
    on_stage(lab, look=2)
    on_stage(lab, press="defrag")  # another run from here on
    assert lab.stage.edition == edition + 2


def test_the_run_is_written_out_as_text_where_somebody_reads_it():
    """Not at each step while the drawer is closed; opened, it is that of the run that is shown."""
    lab = Lab("workbench")
    on_stage(lab, press="map")
    assert lab.text.value == ""
    on_stage(lab, drawer=True)
    assert lab.session.token in lab.text.value
    on_stage(lab, press="dma")
    assert lab.session.token in lab.text.value
    seen = lab.text.value
    on_stage(lab, drawer=False)
    on_stage(lab, press="defrag")
    assert lab.text.value == seen
    on_stage(lab, drawer=True)
    assert lab.session.token in lab.text.value
    on_stage(lab, scene="defrag-ignorant")  # the drawer stays open
    assert lab.session.token in lab.text.value


def test_another_run_or_an_unfolded_block_makes_what_is_near_another():
    """What the browser has kept of moments holds for one edition."""
    lab = Lab("defrag-ignorant", pages=16, slots=64)
    edition = lab.stage.edition
    on_stage(lab, unfold="slot:20-63")
    assert lab.stage.edition == edition + 1
    assert all(len(moment["slots"]) == 64 for moment in near(lab).values())
    on_stage(lab, knob=["pages", 8])
    assert lab.stage.edition == edition + 2


def test_a_block_of_free_slots_is_unfolded_by_asking():
    """A row of 64 slots shows the free ones as one block."""
    lab = Lab("defrag-ignorant", pages=16, slots=64)
    assert lab.stage.moment["slots"][-1]["k"] == "slot:20-63"
    on_stage(lab, unfold="slot:20-63")
    assert len(lab.stage.moment["slots"]) == 64


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


def test_a_tap_on_the_drawer_s_timeline_goes_to_that_step():
    """And the stage follows."""
    lab = Lab("defrag-ignorant")
    lab.more.open("timeline")
    lab.more.panes["timeline"]._asked(None, {"kind": "tap", "x": 12.3, "y": 2}, None)
    assert lab.guard.last is None
    assert (lab.session.step, lab.stage.moment["step"]) == (12, 12)
    assert "Step 12 of" in lab.more.panes["timeline"].alt


def test_the_last_run_can_be_resumed(journal):
    """After a restart of the kernel: the journal offers it, and nothing is offered to who has done nothing yet."""
    first = Lab("workbench")
    assert first.share.resume.layout.display == "none"
    assert not journal.exists()
    first.buttons["map"].click()
    first.buttons["dma"].click()
    again = Lab("workbench")
    assert again.share.resume.layout.display == ""
    again.share.resume.click()
    assert again.guard.last is None
    assert again.session.token == first.session.token
    assert again.share.resume.layout.display == "none"
    assert Lab("defrag-obedient").share.resume.layout.display == "none"


def test_a_journal_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    """The lab works all the same."""
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("P2PLAB_JOURNAL", str(blocked / "journal.jsonl"))
    lab = Lab("workbench")
    lab.buttons["map"].click()
    assert lab.guard.last is None
    assert "This run is not kept for later" in lab.share.trouble.value


def test_a_line_that_was_cut_off_costs_itself_and_not_the_next_one(journal):
    """A full disk, a machine that went down: the run that is kept afterwards is offered."""
    lab = Lab("workbench")
    lab.buttons["map"].click()
    journal.write_text(journal.read_text() + '{"key": "|workbench", "tok')
    again = Lab("workbench", importer="ignorant")
    again.buttons["map"].click()
    later = Lab("workbench")
    later.share.resume.click()
    assert later.session.token == again.session.token != lab.session.token


def test_a_spoiled_journal_offers_nothing(journal):
    """Lines that are no runs of ours are passed over."""
    journal.write_text('nonsense\n{"key": 3}\n[]\n{"key": "|workbench", "token": 5}\n')
    assert Lab("workbench").share.left == ""


def test_the_journal_stays_small(journal):
    """It is cut back when it has grown."""
    from p2plab.lab.journal import LINES, Journal

    kept = Journal("workbench")
    for number in range(2 * LINES + 50):
        kept.keep(f"p2p1.{number}")
    assert len(journal.read_text().splitlines()) <= 2 * LINES
    assert kept.last() == f"p2p1.{2 * LINES + 49}"


def test_another_lab_s_presses_do_not_push_a_run_out(journal):
    """However many: of each lab the newest line stays."""
    from p2plab.lab.journal import LINES, Journal

    Journal("defrag-obedient").keep("p2p1.mine")
    other = Journal("workbench")
    for number in range(5 * LINES):
        other.keep(f"p2p1.{number}")
    assert Journal("defrag-obedient").last() == "p2p1.mine"
    assert sorted(path.name for path in journal.parent.iterdir()) == ["journal.jsonl", "journal.jsonl.lock"]


def test_kernels_that_write_at_once_lose_nothing(journal):
    """Four of them, each often enough for the file to be cut back under the others."""
    import subprocess
    import sys

    code = "from p2plab.lab.journal import Journal; j = Journal(sys.argv[1])\nfor n in range(500): j.keep(f'p2p1.{n}')"
    code = f"import sys; {code}"
    writers = [subprocess.Popen([sys.executable, "-c", code, name]) for name in ("a", "b", "c", "d")]
    assert [writer.wait() for writer in writers] == [0] * 4
    from p2plab.lab.journal import Journal

    assert [Journal(name).last() for name in ("a", "b", "c", "d")] == ["p2p1.499"] * 4
    assert len(journal.read_text().splitlines()) <= 401


@pytest.mark.parametrize("name", ["html", "text", "trace", "test", "log"])
def test_a_run_can_be_saved_as_a_file(name):
    """What the browser is handed reads back."""
    import json

    lab = Lab("defrag-ignorant")
    sent = []
    lab.share.saver.send = lambda message, buffers: sent.append((message["name"], buffers[0].decode()))
    lab.share.save[name].click()
    assert lab.guard.last is None
    ((file, text),) = sent
    assert file.startswith("defrag-ignorant.")
    known = {"text": "BROKEN: obedience", "trace": "traceEvents", "log": "p2plab_log", "test": "def test_"}
    assert (known | {"html": "<!DOCTYPE html>"})[name] in text
    if name == "trace":
        json.loads(text)


def test_running_on_can_be_random_or_by_the_clock():
    """The order is a choice, and the seed shows only where it matters."""
    tokens = set()
    for order in ("few switches", "random, by seed", "by clock"):
        lab = Lab("workbench")
        lab.order.value = order
        lab.run_on.value = "nobody"
        lab.buttons["map"].click()
        lab.buttons["defrag"].click()
        assert (lab.seed.layout.display == "") == (order == "random, by seed")
        lab.rest.click()
        assert lab.guard.last is None
        tokens.add(lab.session.token)
    assert len(tokens) == 3


def test_check_finds_the_smallest_story_and_opens_it():
    """The ignorant importer: two switches; the obedient one holds in every order."""
    lab = Lab("workbench", importer="ignorant")
    on_stage(lab, do="check")
    assert lab.guard.last is None, lab.guard.strip.value
    assert "BREAKS obedience: 2 switches" in lab.stage.check["words"]
    assert "made smaller: pages 4 -> 1" in lab.stage.check["words"]
    assert (lab.stage.check["tone"], lab.stage.check["running"]) == ("bad", False)
    assert lab.session.run.settings["pages"] == 1
    assert "obedience" in lab.stage.broken
    lab.more.open("states")
    (graph,) = lab.more.states.children
    assert graph.alt.startswith("State graph of the search:")
    assert "Broken: obedience." in graph.alt
    on_stage(lab, do="close")
    assert lab.stage.check == {}
    good = Lab("defrag-obedient")
    on_stage(good, do="check")
    assert "HOLDS in every order of events" in good.stage.check["words"]
    assert good.stage.check["tone"] == "good"


def test_a_search_leaves_the_page_alive_and_can_be_cancelled():
    """With a loop running it goes a slice at a time."""
    import asyncio

    async def story() -> str:
        lab = Lab("defrag-obedient")
        on_stage(lab, do="check")
        assert lab.stage.check["running"]
        await asyncio.sleep(0.02)
        assert "states" in lab.stage.check["words"]
        on_stage(lab, do="cancel")
        await asyncio.wait_for(lab.checker.task, 10)
        assert lab.guard.last is None
        return lab.stage.check["words"]

    assert "it was cancelled" in asyncio.run(story())


def test_a_token_of_another_scene_brings_its_own_buttons_and_knobs():
    """Opened in a lab of any scene."""
    other = Lab("e7-holds-its-lock")
    lab = Lab("workbench")
    lab.share.paste.value = other.session.token
    lab.share.opener.click()
    assert lab.guard.last is None, lab.guard.strip.value
    assert lab.session.token == other.session.token
    assert lab.buttons.keys() == other.buttons.keys()
    assert lab.knobs.keys() == other.knobs.keys()
    assert lab.stage.moment == other.stage.moment
    assert lab.stage.run == other.stage.run


def test_the_call_graph_shows_who_sets_who_calls_and_nobody():
    """Drawn from what ran: before the process maps anything, nobody has."""
    lab = Lab("defrag-ignorant")
    lab.more.open("call-graph")
    graph = lab.more.panes["call-graph"]
    assert "p2p_map set by gpu" in graph.alt
    assert "hmm calls gpu.p2p_map" in graph.alt
    on_stage(lab, look=0)
    assert "p2p_map set by nobody" in graph.alt
    assert "nobody" in graph.data["parties"]["label"]


def test_the_drawer_s_pictures_are_made_when_they_are_opened():
    """Device memory with whose bytes are damaged; the PCI tree; the aperture. What is closed costs nothing."""
    lab = Lab("defrag-ignorant")
    assert lab.more.panes == {}
    lab.more.open("memory")
    assert lab.more.tables["memory"].value.count("DAMAGED") == 3
    assert "DMA page 2" in lab.more.tables["memory"].value
    lab.more.open("pci-tree")
    assert "they meet at 0000:01:00.0" in lab.more.tables["pci-tree"].value
    assert "exporter: gpu" in lab.more.tables["pci-tree"].value
    assert "importer: nic" in lab.more.tables["pci-tree"].value
    lab.more.open("bar-map")
    before = lab.more.tables["memory"].value
    on_stage(lab, look=0)
    assert "B[0] - - A[0] A[1] A[2] A[3] -" in lab.more.panes["bar-map"].alt
    assert lab.more.tables["memory"].value == before


def test_the_token_goes_to_the_clipboard():
    """Of the run as it is now."""
    lab = Lab("workbench")
    sent = []
    lab.share.saver.send = sent.append
    lab.share.copier.click()
    assert lab.guard.last is None
    assert sent == [{"kind": "copy", "text": lab.session.token}]


def test_a_run_with_somebody_s_own_class_offers_no_token():
    """A token carries no driver: it could not be opened anywhere. The lab says so, and keeps nothing in the journal."""
    lab = Lab("workbench")
    own = dataclasses.replace(find("workbench"), cast={"importer": PinsUntilUnmap})
    lab.session.show(Run(own).told())
    lab.press("map")
    lab.refresh()
    assert "This run has no token: a token carries no driver, and PinsUntilUnmap is your own." in lab.share.token.value
    assert lab.share.copier.disabled
    assert lab.share.journal.last() == ""
    lab.session.open(token_of(Run(find("workbench"))))
    lab.refresh()
    assert "Token of this run" in lab.share.token.value
    assert not lab.share.copier.disabled


def test_the_run_that_was_left_is_kept_with_the_step_that_was_looked_at():
    """Another run takes its place, as after a search."""
    lab = Lab("workbench")
    lab.press("map")
    step, token = lab.session.step, lab.session.token
    lab.session.show(Session("defrag-ignorant").run)
    lab.refresh()
    assert f"The run you left at step {step} is kept: <code>{token}</code>" in lab.title.value


def test_the_blue_button_leads_to_the_first_broken_promise():
    """The move does not wait for the transfer: map, start DMA, defrag."""
    lab = Lab("workbench", importer="ignorant")
    pressed = []
    while not lab.stage.broken:
        pressed.append(lab.stage.moment["best"])
        on_stage(lab, press=pressed[-1], step=lab.session.step)
    assert pressed == ["map", "dma", "defrag"]
    assert lab.stage.moment["best"] == "step"


def test_a_press_says_what_it_led_to():
    """First what to press and where to look; then the step that matters, not the lock that was released last."""
    lab = Lab("workbench", importer="ignorant")
    assert lab.stage.said.endswith("Watch nic's own table: which entries may it still use?")
    on_stage(lab, press="map", step=6)
    assert lab.stage.said.startswith("Step 15: The NIC writes 4 addresses into its own table.")
    on_stage(lab, press="dma", step=17)
    on_stage(lab, press="defrag", step=19)
    assert lab.stage.said.startswith("Step 24: ")
    assert lab.stage.said.endswith("obedience is broken.")
    on_stage(lab, look=30)
    on_stage(lab, look=31)
    assert lab.stage.said.startswith("Step 24: ")
    on_stage(lab, do="step")
    assert not lab.stage.said.startswith("Step")


def test_what_the_exporter_did_is_said_where_nothing_broke():
    """The move, with the obedient importer; where it has to wait, that."""
    lab = Lab("workbench")
    for press in ("map", "dma"):
        on_stage(lab, press=press, step=lab.session.step)
    on_stage(lab, do="step")
    on_stage(lab, press="defrag", step=lab.session.step)
    assert "The beat for page 0 is already under way" in lab.stage.said
    lab = Lab("workbench")
    for press in ("map", "dma", "defrag"):
        on_stage(lab, press=press, step=lab.session.step)
    assert "The GPU moves A" in lab.stage.said
