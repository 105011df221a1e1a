"""What a person sees who opens the first notebook in JupyterLab."""

from __future__ import annotations

import json
import re

from tests.browser.conftest import Server, Watched
from tests.browser.notebook import (
    colours,
    open_notebook,
    press,
    run_all,
    said,
    seq,
    wait_for_pictures,
    wait_until_saved,
    write_notebook,
)

PANES = ("address-space", "bar-map", "timeline")


def words(page, pane: str) -> str:
    return page.get_attribute(f"[data-pane='{pane}']", "aria-label")


def test_a_click_on_defrag_makes_the_page_say_which_rule_broke(lab_server: Server, watched: Watched):
    """Map, start DMA, three steps, defrag: the ignorant NIC is caught; run on, and the damage is spelled out."""
    page = watched.page
    open_notebook(page, lab_server, "00-start-here.ipynb", copy_as="defrag.ipynb")
    run_all(page)
    wait_for_pictures(page)
    assert page.locator("details summary").first.inner_text() == "verdict: ready, the lab will draw here"
    assert said(page, "verdict") == "No rule is broken so far."
    for pane in PANES:
        assert colours(page, pane) > 3, f"{pane} is empty"
    for name in ("map", "start DMA", "step", "step", "step", "defrag"):
        press(page, name)
    assert said(page, "verdict").startswith("Broken: obedience at step ")
    assert "broken at step" in said(page, "board")
    press(page, "run on")
    assert "no-stale-dma at step" in said(page, "verdict")
    assert 'nic meant A[2] and overwrote C[0] of app2 at 0xe8005000: "C[0] of app2" is now "DMA page 2"' in said(
        page, "damage"
    )
    assert "4 stale (0xe8003000, 0xe8004000, 0xe8005000, 0xe8006000)" in words(page, "address-space")
    assert re.fullmatch(r"p2p1\.workbench~\d+\.importer=ignorant\.[\w]+\.[\w-]{8}\.[a-z2-7]{6}", said(page, "token"))
    assert watched.abroad == []
    assert watched.errors == []


def test_the_obedient_importer_breaks_nothing(lab_server: Server, watched: Watched):
    """Choosing it begins again; the same four presses, and all rules hold."""
    page = watched.page
    open_notebook(page, lab_server, "00-start-here.ipynb", copy_as="obedient.ipynb")
    run_all(page)
    wait_for_pictures(page)
    press(page, "map")
    before = seq(page, "timeline")
    page.locator(".p2plab-lab select").first.select_option("obedient")
    page.wait_for_function(
        "before => Number(document.querySelector(\"[data-pane='timeline']\").dataset.seq) > before", arg=before
    )
    for name in ("map", "start DMA", "step", "step", "step", "defrag", "run on"):
        press(page, name)
    assert said(page, "verdict") == "No rule is broken so far."
    assert said(page, "damage") == "No byte of anybody was damaged."
    assert "B[0] A[0] A[1] A[2] A[3] C[0] C[1] C[2]" in words(page, "bar-map")
    assert "nic translates 4 pages rightly and 0 stale" in words(page, "address-space")
    assert watched.errors == []


def test_a_handler_that_is_broken_on_purpose_shows_its_message(lab_server: Server, watched: Watched):
    """Nothing is swallowed: the page says what happened and where; the next success takes it away."""
    page = watched.page
    write_notebook(
        lab_server,
        "broken.ipynb",
        "from p2plab.lab import Lab\n"
        "lab = Lab('workbench')\n"
        "def explode():\n"
        "    raise RuntimeError('the <b>fuse</b> is gone')\n"
        "lab.back = explode\n"
        "lab.backward._click_handlers.callbacks.clear()\n"
        "lab.backward.on_click(lab.handler(lambda _: lab.back()))\n"
        "lab",
    )
    open_notebook(page, lab_server, "broken.ipynb")
    run_all(page)
    wait_for_pictures(page)
    page.locator(".p2plab-lab button", has_text="back").first.click()
    alert = page.locator(".p2plab-alert")
    alert.wait_for()
    assert alert.inner_text().startswith("That did not work. RuntimeError: the <b>fuse</b> is gone")
    alert.locator("summary").click()
    assert "in explode" in alert.inner_text()
    press(page, "map")
    page.locator(".p2plab-alert").wait_for(state="detached")


def test_a_reload_and_a_second_view_show_the_current_state(lab_server: Server, watched: Watched):
    """Not the state in which the lab was first drawn."""
    page = watched.page
    write_notebook(lab_server, "views.ipynb", "from p2plab.lab import Lab\nlab = Lab('workbench')\nlab", "lab")
    open_notebook(page, lab_server, "views.ipynb")
    run_all(page)
    page.wait_for_function("document.querySelectorAll(\"[data-pane='timeline'][data-seq]\").length === 2")
    press(page, "map")
    press(page, "start DMA")
    expected = words(page, "timeline")
    assert re.match(r"Step (\d+) of \1, nic: begins dma\.", expected)
    both = page.eval_on_selector_all("[data-pane='timeline']", "all => all.map(e => e.getAttribute('aria-label'))")
    assert both == [expected, expected]
    page.wait_for_function(
        "[...document.querySelectorAll(\"[data-pane='timeline']\")].every(e => e.dataset.seq === "
        "document.querySelector(\"[data-pane='timeline']\").dataset.seq)"
    )
    page.keyboard.press("Escape")
    wait_until_saved(page, lab_server, "views.ipynb", 2)
    page.goto(page.url.partition("?")[0])
    page.wait_for_function("document.querySelectorAll(\"[data-pane='timeline'][data-seq]\").length === 2")
    assert words(page, "timeline") == expected
    assert colours(page, "bar-map") > 3
    press(page, "step")
    assert re.match(r"Step (\d+) of \1, nic_dma: looks up a page\.", words(page, "timeline"))
    assert watched.abroad == []


def test_a_saved_notebook_is_small_and_readable_without_a_kernel(lab_server: Server, watched: Watched):
    """No drawing library in the file; its text shows the run."""
    page = watched.page
    write_notebook(lab_server, "saved.ipynb", "from p2plab.lab import Lab\nLab('defrag-ignorant')")
    open_notebook(page, lab_server, "saved.ipynb")
    run_all(page)
    wait_for_pictures(page)
    page.locator(".jp-Notebook .jp-Cell .jp-InputPrompt").first.click()
    wait_until_saved(page, lab_server, "saved.ipynb", 1)
    file = lab_server.folder / "saved.ipynb"
    assert file.stat().st_size < 50_000
    (output,) = json.loads(file.read_text())["cells"][0]["outputs"]
    text = "".join(output["data"]["text/plain"])
    assert "BROKEN: obedience (invariant 20), at step" in text
    assert max(map(len, text.splitlines())) <= 72


def test_keys_typed_in_the_lab_do_not_edit_the_notebook(lab_server: Server, watched: Watched):
    """With a button focused, 'm' and 'd d' would turn the cell into Markdown and delete it; Escape leaves the lab."""
    page = watched.page
    write_notebook(lab_server, "keys.ipynb", "from p2plab.lab import Lab\nLab('workbench')")
    open_notebook(page, lab_server, "keys.ipynb")
    run_all(page)
    wait_for_pictures(page)
    press(page, "map")
    for key in ("m", "d", "d", "a"):
        page.keyboard.press(key)
    page.wait_for_timeout(300)
    assert page.locator(".jp-Notebook .jp-Cell").count() == page.locator(".jp-Notebook .jp-CodeCell").count() >= 1
    assert page.locator(".p2plab-lab").count() == 1
    button = page.locator(".p2plab-lab button", has_text="start DMA").first
    button.focus()
    before = seq(page, "timeline")
    page.keyboard.press("Enter")
    page.wait_for_function(
        "before => Number(document.querySelector(\"[data-pane='timeline']\").dataset.seq) > before", arg=before
    )
    assert re.match(r"Step (\d+) of \1, nic: begins dma\.", words(page, "timeline"))


def test_sources_are_links_to_the_mails(lab_server: Server, watched: Watched):
    """A rule's source can be followed."""
    page = watched.page
    open_notebook(page, lab_server, "00-start-here.ipynb", copy_as="links.ipynb")
    run_all(page)
    wait_for_pictures(page)
    link = page.locator("[data-view='board'] a").first
    assert link.get_attribute("href") == "https://lore.kernel.org/linux-mm/20190130192234.GD5061@redhat.com/"
    assert link.inner_text() == "mail of 2019-01-30"
