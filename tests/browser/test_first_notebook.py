"""What a person sees who opens the first notebook in JupyterLab."""

from __future__ import annotations

import json
import re

from tests.browser.conftest import Server, Watched
from tests.browser.notebook import (
    broken,
    button,
    cell,
    choose,
    open_notebook,
    press,
    run_all,
    said,
    seq,
    wait_for_pictures,
    wait_for_stages,
    wait_until_saved,
    when_drawn_again,
    words,
    write_notebook,
)


def test_a_click_on_defrag_makes_the_page_say_which_rule_broke(lab_server: Server, watched: Watched):
    """Map, start DMA, three steps, defrag: the ignorant NIC is caught; run on, and the damage is spelled out."""
    page = watched.page
    open_notebook(page, lab_server, "00-start-here.ipynb", copy_as="defrag.ipynb")
    run_all(page)
    wait_for_pictures(page)
    assert (
        page.locator("details summary", has_text="verdict").first.inner_text()
        == "verdict: ready, the lab will draw here"
    )
    assert broken(page) == []
    for name in ("map", "start DMA", "step", "step", "step", "defrag"):
        press(page, name)
    assert broken(page) == ["obedience"]
    press(page, "run on")
    assert broken(page) == ["obedience", "no-stale-dma"]
    assert "app2 loses its bytes" in page.inner_text(".stage .said")
    frame = page.locator(".stage .cell.hurt", has_text="DMA page 2").first.get_attribute("aria-label")
    assert "C[0] of app2, holds “DMA page 2”; nic overwrote “C[0] of app2” at step" in frame
    assert cell(page, "nic:entry2").startswith("nic's entry for page 2: 0xe8005000, to slot 5, STALE since step")
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
    choose(page, "obedient")
    for name in ("map", "start DMA", "step", "step", "step", "defrag", "run on"):
        press(page, name)
    assert broken(page) == []
    stage = page.locator(".stage").first  # the notebook's story has one, too
    assert stage.locator(".cell.hurt").count() == 0
    slots = stage.locator(".cell.slot .l0").all_text_contents()
    assert slots == ["B[0]", "A[0]", "A[1]", "A[2]", "A[3]", "C[0]", "C[1]", "C[2]"]
    assert "nic has 4 right." in words(page)
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
        "lab.press('map')\n"
        "lab.press('dma')\n"
        "lab.step_on = explode\n"
        "lab.refresh()\n"
        "lab",
    )
    open_notebook(page, lab_server, "broken.ipynb")
    run_all(page)
    wait_for_pictures(page)
    button(page, "step").click()
    alert = page.locator(".p2plab-alert")
    alert.wait_for()
    assert alert.inner_text().startswith("That did not work. RuntimeError: the <b>fuse</b> is gone")
    alert.locator("summary").click()
    assert "in explode" in alert.inner_text()
    press(page, "◀")
    page.locator(".p2plab-alert").wait_for(state="detached")


def test_a_reload_and_a_second_view_show_the_current_state(lab_server: Server, watched: Watched):
    """Not the state in which the lab was first drawn."""
    page = watched.page
    write_notebook(lab_server, "views.ipynb", "from p2plab.lab import Lab\nlab = Lab('workbench')\nlab", "lab")
    open_notebook(page, lab_server, "views.ipynb")
    run_all(page)
    wait_for_stages(page, 2)
    press(page, "map")
    press(page, "start DMA")
    expected = words(page)
    assert "The NIC rings the doorbell" in expected
    assert words(page, 1) == expected
    page.keyboard.press("Escape")
    wait_until_saved(page, lab_server, "views.ipynb", 2)
    page.goto(page.url.partition("?")[0])
    wait_for_stages(page, 2)
    assert words(page) == words(page, 1) == expected
    press(page, "step")
    assert "The NIC looks page 0 up in its own table" in words(page)
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
    button(page, "start DMA").focus()
    before = seq(page)
    page.keyboard.press("Enter")
    when_drawn_again(page, before)
    assert "The NIC rings the doorbell" in words(page)


def test_sources_are_links_to_the_mails(lab_server: Server, watched: Watched):
    """A rule's source can be followed."""
    page = watched.page
    open_notebook(page, lab_server, "00-start-here.ipynb", copy_as="links.ipynb")
    run_all(page)
    wait_for_pictures(page)
    page.locator(".stage .chips .kept button").first.click()
    link = page.locator(".stage .panel a").first
    assert link.get_attribute("href").startswith("https://lore.kernel.org/linux-mm/2019")
    assert "redhat.com" in link.inner_text()
