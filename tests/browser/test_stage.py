"""The stage itself: one screen, labels that keep apart, what it says at a step, the keyboard, less motion."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import p2plab
from p2plab.everything import SCENES
from p2plab.views.page import page as page_of
from p2plab.views.page import stage_data
from p2plab.views.stage import moments as moments_of
from p2plab.views.stage.wire import changes, moment_json, objects_of, run_json, scene_json
from tests.browser.conftest import Server, Watched
from tests.browser.notebook import button, open_notebook, press, run_all, seq, wait_for_pictures, words, write_notebook
from tests.browser.stage_alone import stage_alone

HERE = Path(__file__).parent
LABELS = (HERE / "labels.js").read_text(encoding="utf-8")

#: Runs whose rows are longer than the catalogue's, with main memory, with a private word for each page.
MORE = (("defrag-ignorant", {"pages": 16, "slots": 64}), ("policies", {"policy": "ram"}), ("F1", {"iommu": "on"}))


@pytest.fixture(scope="module")
def runs() -> list[dict[str, Any]]:
    """What a saved page holds, for every scene."""
    return [stage_data(p2plab.run(name)) for name in SCENES] + [
        stage_data(p2plab.run(name, **knobs)) for name, knobs in MORE
    ]


@pytest.mark.parametrize(("width", "height", "every"), [(850, 600, 1), (1280, 720, 1), (390, 844, 6)])
def test_labels_keep_apart_at_every_step_of_every_scene(
    chromium: Any, tmp_path: Path, runs: list[dict[str, Any]], width: int, height: int, every: int
):
    """From the boxes of the glyphs: none overlaps, none is cut, none is under 11 px; nothing scrolls but on a phone."""
    page = chromium.new_page(viewport={"width": width, "height": height})
    page.goto(stage_alone(tmp_path).as_uri())
    page.wait_for_function("!!window.savedPage")
    wrong = {
        data["scene"]["name"]: page.evaluate(f"([data, every]) => ({LABELS})(data, every)", [data, every])
        for data in runs
    }
    page.close()
    assert {name: said[:3] for name, said in wrong.items() if said} == {}


def in_sight(page: Any, selector: str) -> bool:
    """Whether the whole of an element is inside the window."""
    return bool(
        page.locator(selector).first.evaluate(
            "e => { const b = e.getBoundingClientRect();"
            " return b.top >= -1 && b.left >= -1 && b.bottom <= innerHeight + 1 && b.right <= innerWidth + 1; }"
        )
    )


@pytest.mark.parametrize("simple", [True, False], ids=["at the width of the window", "beside the file browser"])
def test_no_effect_of_a_button_is_outside_the_window(lab_server: Server, watched: Watched, simple: bool):
    """1280 by 720 in JupyterLab; beside its file browser the cell is 850 by 600. From any button to all it changes."""
    page = watched.page
    page.set_viewport_size({"width": 1280, "height": 720})
    name = f"one-screen-{simple}.ipynb"
    write_notebook(lab_server, name, "from p2plab.lab import Lab\nLab('workbench', importer='ignorant')")
    open_notebook(page, lab_server, name, simple=simple)
    run_all(page)
    wait_for_pictures(page)
    page.locator(".stage").first.evaluate("e => e.scrollIntoView({block: 'end'})")
    shown = (".said", "svg.chain", ".now", ".lanes svg", ".chips", ".check", ".bar .forward", ".bar .more")
    for pressed in ("map", "start DMA", "step", "run on", "◀", "run on"):
        press(page, pressed)
        assert [part for part in shown if not in_sight(page, f".stage {part}")] == [], pressed
    for pressed, effect in (("text", ".panel"), ("keys", ".panel"), ("source", ".side"), ("more ▾", "")):
        button(page, pressed).click()
        assert in_sight(page, f".stage {effect}" if effect else ".p2plab-drawer"), pressed
        page.keyboard.press("Escape")
        if pressed == "source":
            button(page, pressed).click()
    assert page.locator(".stage").first.evaluate("e => e.scrollHeight <= e.clientHeight + 1")
    assert watched.errors == []


@pytest.fixture
def saved(tmp_path: Path, watched: Watched) -> Any:
    """Open the saved page of a scene at a step."""

    def open_at(name: str, step: int) -> Any:
        file = tmp_path / f"{name}.html"
        file.write_text(page_of(p2plab.run(name)), encoding="utf-8")
        watched.page.set_viewport_size({"width": 1280, "height": 720})
        watched.page.goto(f"{file.as_uri()}#{step}")
        watched.page.wait_for_selector(f".stage[data-step='{step}']")
        return watched.page

    return open_at


#: A model as ipywidgets gives one to the stage, whose kernel answers when it is told to.
KERNEL = """([data, near]) => {
    const heard = {};
    const {scene, run, moments} = data;
    const traits = {scene, run, options: {}, check: {}, seq: 1, edition: 1, moment: moments[20], near};
    window.sent = [];
    window.answer = (changes) => {
        Object.assign(traits, changes);
        for (const name in changes) (heard[`change:${name}`] ?? []).forEach((hear) => hear());
    };
    const on = (name, hear) => (heard[name] ??= []).push(hear);
    const model = {get: (name) => traits[name], send: (message) => sent.push(message), on, off() {}};
    const el = document.createElement("div");
    document.body.replaceChildren(el);
    window.renderStage({model, el});
}"""


def test_a_step_that_the_browser_has_already_is_drawn_before_the_kernel_answers(chromium: Any, tmp_path: Path):
    """The kernel hears of the newest; an answer that is late is not drawn over a later step; another run forgets all."""
    run = p2plab.run("defrag-obedient")
    moments = [moment_json(one, objects_of(run)) for one in islice(moments_of(run), 26)]
    near = {str(step): changes(iter([moments[20], moments[step]]))[1][0] for step in (18, 19)}
    page = chromium.new_page(viewport={"width": 1280, "height": 720})
    page.goto(stage_alone(tmp_path).as_uri())
    page.wait_for_function("!!window.renderStage")
    data = {"scene": scene_json(run), "run": run_json(run), "moments": moments}
    page.evaluate(KERNEL, [data, {"edition": 1, "step": 20, "moments": near}])
    shown = page.locator(".stage")

    def at(step: int) -> None:
        page.wait_for_selector(f".stage[data-step='{step}']")
        assert shown.locator(".said").get_attribute("title") == " ".join(moments[step]["said"][:2])

    at(20)
    page.click(".back")
    at(19)
    page.click(".back")
    at(18)
    assert page.evaluate("sent") == [{"look": 19}]
    page.evaluate("moment => answer({moment, seq: 2})", moments[19])
    at(18)
    assert page.evaluate("sent") == [{"look": 19}, {"look": 18}]
    page.click(".back")  # not known: it waits
    page.evaluate("moment => answer({moment, seq: 3})", moments[18])
    at(18)
    assert page.evaluate("sent.at(-1)") == {"look": 17}
    drawn = shown.get_attribute("data-seq")
    page.evaluate("moment => answer({moment, seq: 4})", moments[17])
    at(17)
    page.click("[title^='one step']")
    at(18)
    page.evaluate("moment => answer({moment, seq: 5})", moments[18])  # as it is drawn: not drawn again
    page.wait_for_timeout(50)
    assert int(shown.get_attribute("data-seq")) == int(drawn) + 2
    page.evaluate("moment => answer({moment, edition: 2, seq: 6})", moments[25])
    at(25)
    page.click(".back")
    page.wait_for_timeout(50)
    at(25)
    assert page.evaluate("sent.at(-1)") == {"look": 24}
    page.close()


def test_a_beat_that_destroys_marks_the_frame(saved: Any):
    """The frame has a heavy edge, a hatch, and the words of what was lost, beside its colour."""
    page = saved("defrag-ignorant", 34)
    frame = page.locator(".cell[data-k='frame5']")
    assert "hurt" in frame.get_attribute("class")
    assert frame.locator(".hatch").count() == 1
    assert "was “C[0] of app2”" in frame.text_content()
    assert page.locator(".ring.lost").count() == 1
    assert page.locator(".way.stale.beat.landed").count() == 2


def test_the_now_strip_names_who_waits_for_whom(saved: Any):
    """In the obedient defragmentation the GPU, inside the NIC's callback, waits for the NIC's engine."""
    page = saved("defrag-obedient", 26)
    gpu = page.locator(".now li", has_text="gpu")
    assert "waits for nic_dma: DMA drained" in gpu.inner_text()
    assert "holds nic.lock" in gpu.inner_text()
    assert "in nic's invalidate_range_start" in gpu.inner_text()
    assert "next: beat for page 1 lands" in page.locator(".now li", has_text="nic_dma").last.inner_text()


def test_the_arrows_walk_from_cell_to_cell_and_light_the_way(saved: Any):
    """One tab stop for the whole chain; up and down follow the rows; s, t, d and Escape do what the list of keys says."""
    page = saved("defrag-ignorant", 30)
    assert page.locator(".chain .cell[tabindex='0']").count() == 1
    page.locator(".chain .cell[tabindex='0']").focus()
    for key, cell in (("ArrowRight", "app:page1"), ("ArrowRight", "app:page2"), ("ArrowDown", "slot3")):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.dataset.k") == cell
    assert page.locator(".chain .cell[tabindex='0']").count() == 1
    lit = page.locator(".cell.lit").evaluate_all("all => all.map(c => c.dataset.k)")
    assert set(lit) == {"app:page2", "nic:entry0", "slot3", "frame3"}
    page.keyboard.press("s")
    assert page.locator(".stage.spotlight .cell.new").count() == 3
    page.keyboard.press("t")
    assert "STALE since step 27" in page.inner_text(".panel pre")
    page.keyboard.press("Escape")
    assert page.locator(".panel").is_hidden()
    page.keyboard.press("d")
    assert "class IgnorantNic" in page.inner_text(".side .code")


def test_everything_names_itself_and_its_source_to_pointer_and_focus(saved: Any):
    """An arrow, a callback's bar, a call, a lock, an actor, a promise, a mark of the key; a cell by focus; Escape hides it."""
    page = saved("defrag-obedient", 26)
    tip = page.locator(".told-of")
    asked = (
        (".way.beat .hit", "nic's beat for page 1 is on its way to slot 4", "p2plab/p2p/engine.py"),
        (".amber", "gpu invalidates pages 0–3 of app", "include/linux/mmu_notifier.h (mmu_notifier_range)"),
        (".lanes .hit", "gpu.p2p_map, through HMM", "mail <20190129174728.6430-4-jglisse@redhat.com>"),
        (".lanes rect.lock", "app holds app.mmap_lock", "include/linux/mm_types.h (mm_struct)"),
        (".now li.waits", "gpu, in nic's invalidate_range_start", "mail <20190129174728.6430-4-jglisse@redhat.com>"),
        (".key span", "right", "mail <20190129174728.6430-4-jglisse@redhat.com>"),
        (".cell.slot", "slot 0 at 0xe8000000: B[0] of app2", "mail <20190130192234.GD5061@redhat.com>"),
    )
    for what, said, source in asked:
        page.locator(what).first.hover(force=True)
        tip.get_by_text(said).wait_for()
        assert source in tip.inner_text(), what
        assert in_sight(page, ".told-of"), what
    page.mouse.move(640, 75)
    tip.wait_for(state="hidden")
    page.locator(".chain .cell[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    assert "include/linux/mm_types.h (vm_area_struct)" in tip.inner_text()
    assert page.locator("[aria-describedby]").get_attribute("data-k") == "app:page1"
    page.keyboard.press("Escape")
    assert tip.is_hidden()
    page.keyboard.press("?")
    assert page.locator(".panel .terms a[href^='https://lore.kernel.org/']").count() > 5


def test_the_arrows_walk_from_mark_to_mark_of_the_timeline(saved: Any):
    """One tab stop, at the step that is shown; along a lane, to the next one; Enter goes there, a click moves no focus."""
    page = saved("defrag-obedient", 26)
    marks = page.locator(".lanes [data-at]")
    assert marks.count() > 60
    assert all(marks.evaluate_all("marks => marks.map(one => one.getAttribute('aria-label'))"))
    assert page.locator(".lanes [tabindex='0']").evaluate_all("all => all.map(one => one.ariaLabel)") == [
        "gpu, step 26: clears translations"
    ]
    page.locator(".chain .cell[tabindex='0']").focus()
    focused = "document.activeElement.ariaLabel"
    while not page.evaluate("document.activeElement.matches('.lanes [data-at]')"):
        page.keyboard.press("Tab")
    tip = page.locator(".told-of")
    walked = []
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
        walked.append(page.evaluate(focused))
        assert tip.locator("b").inner_text() == walked[-1]
        assert tip.locator(".source").inner_text()
        assert in_sight(page, ".told-of")
    assert walked == [
        "gpu, step 28: DMA drained",
        "gpu.p2p_unmap, through HMM, in gpu's thread, step 28 to 30",
        "nic, step 17",
        "gpu, step 21",
    ]
    page.keyboard.press("Enter")
    page.wait_for_selector(".stage[data-step='21']")
    assert page.evaluate(focused) == walked[-1]
    page.locator(".lanes .step").nth(5).click()
    assert page.evaluate(focused) == walked[-1]


def test_on_a_large_screen_all_of_it_is_larger(saved: Any):
    """Text, marks and what names them, by a quarter; nothing is out of sight, and a smaller window has them as before."""
    from playwright.sync_api import expect

    page = saved("defrag-obedient", 26)
    page.mouse.move(640, 75)
    small = page.locator(".said").bounding_box()
    page.set_viewport_size({"width": 1920, "height": 1080})
    expect(page.locator(".stage")).to_have_js_property("clientWidth", 1536)
    assert page.locator(".said").bounding_box()["height"] == 1.25 * small["height"]
    for part in (".said", "svg.chain", ".now", ".lanes svg", ".chips", ".bar .forward"):
        assert in_sight(page, f".stage {part}"), part
    asked = page.locator(".cell[data-k='slot4']")
    asked.hover()
    page.get_by_text("slot 4 at 0xe8004000: A[1] of app").wait_for()
    cell, tip = asked.bounding_box(), page.locator(".told-of").bounding_box()
    assert abs(cell["x"] + cell["width"] / 2 - tip["x"] - tip["width"] / 2) < 2
    assert 0 < tip["y"] - cell["y"] - cell["height"] < 12
    page.set_viewport_size({"width": 1280, "height": 720})
    expect(page.locator(".stage")).to_have_js_property("clientWidth", 1280)
    assert page.locator(".said").bounding_box() == small


def test_a_click_on_an_arrow_lights_its_whole_way(saved: Any):
    """From the NIC's entry through the slot into the frame."""
    page = saved("defrag-ignorant", 30)
    page.locator(".way.stale .hit").first.click(force=True)
    lit = page.locator(".cell.lit").evaluate_all("all => all.map(c => c.dataset.k)")
    assert set(lit) == {"nic:entry0", "slot3", "frame3"}


def test_a_chip_says_what_a_real_kernel_made_of_the_scene(saved: Any):
    """To pointer and focus at once; the same as a table is one press away."""
    page = saved("F4", 13)
    chip = page.locator(".chips .linux button")
    page.locator(".chips li:nth-last-child(2) button").focus()
    page.keyboard.press("Tab")
    tip = page.locator(".told-of")
    assert tip.locator("b").inner_text() == "on a real kernel: Linux 6.12: hung task nic, 1 more"
    assert "the kernel said: hung task nic; hung task gpu" in tip.inner_text()
    assert "docs/real-kernel.md" in tip.locator(".source").inner_text()
    assert in_sight(page, ".told-of")
    assert chip.inner_text() == "Linux 6.12: hung task nic, 1 more"
    chip.click()
    assert "hung task nic; hung task gpu" in page.inner_text(".panel")
    assert in_sight(page, ".panel")


def test_the_source_beside_the_stage_follows_the_step(saved: Any):
    """The line at which this step began is lit; what changed in the driver is marked with what it was. Escape closes it."""
    page = saved("defrag-obedient", 25)
    page.keyboard.press("d")
    page.locator(".side select").select_option("nic")
    lit = page.locator(".side .line.lit").all_inner_texts()
    assert any("async with self.lock" in line for line in lit)
    changed = page.locator(".side tr.new").all_inner_texts()
    assert any("invalidations" in row and "1" in row for row in changed)
    page.keyboard.press("Escape")  # closes it; the keys go on working
    assert page.locator(".side").is_hidden()
    page.keyboard.press("Home")
    page.wait_for_selector(".stage[data-step='0']")


def test_what_moves_stands_still_for_those_who_ask_for_it(saved: Any, watched: Watched):
    """With prefers-reduced-motion nothing is animated; without it the moved tiles are, and never by themselves."""
    page = saved("defrag-ignorant", 26)
    page.evaluate("window.moved = 0; document.addEventListener('transitionrun', () => window.moved++, true)")
    page.wait_for_timeout(300)
    assert page.evaluate("window.moved") == 0
    page.locator(".forward").click()
    page.wait_for_selector(".stage[data-step='27']")
    page.wait_for_function("window.moved > 0")
    page.emulate_media(reduced_motion="reduce")
    page.wait_for_timeout(500)
    page.evaluate("window.moved = 0")
    for step, pressed in ((28, ".forward"), (27, ".bar .back")):
        page.locator(pressed).click()
        page.wait_for_selector(f".stage[data-step='{step}']")
    page.wait_for_timeout(300)
    assert page.evaluate("window.moved") == 0


def test_play_goes_to_the_end_at_the_pace_that_was_chosen(saved: Any):
    """Space plays and stops; the pace is among the keys."""
    page = saved("workbench", 0)
    page.keyboard.press("?")
    page.locator(".panel select").select_option("very fast, 0.25 s")
    page.keyboard.press("Escape")
    page.locator(".play").click()
    page.wait_for_selector(".stage[data-step='6']")
    assert words(page).startswith("Step 6.")
    assert seq(page) > 5
