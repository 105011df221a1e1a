"""Linked views, files and forks, as a person meets them in JupyterLab."""

from tests.browser.conftest import Server, Watched
from tests.browser.notebook import (
    cell,
    open_drawer,
    open_notebook,
    press,
    run_all,
    seq,
    wait_for_pictures,
    wait_for_stages,
    when_drawn_again,
    words,
    write_notebook,
)


def click(page, selector: str) -> None:
    """Click something of the stage, and wait until it is drawn anew."""
    before = seq(page)
    page.locator(f".stage {selector}").first.click()
    when_drawn_again(page, before)


def test_a_click_on_a_page_lights_its_way_and_one_on_a_step_goes_there(lab_server: Server, watched: Watched):
    """A step, a call and a chip lead to their steps; what is in the drawer can be saved and clicked, too."""
    page = watched.page
    write_notebook(lab_server, "linked.ipynb", "from p2plab.lab import Lab\nLab('defrag-ignorant')")
    open_notebook(page, lab_server, "linked.ipynb")
    run_all(page)
    wait_for_pictures(page)
    page.locator(".stage .cell[data-k='nic:entry1']").click()
    lit = page.locator(".stage .cell.lit").evaluate_all("all => all.map(c => c.dataset.k)")
    assert lit == ["nic:entry1", "slot4", "frame4"]
    assert cell(page, "nic:entry1") == (
        "nic's entry for page 1: 0xe8004000, to slot 4, STALE since step 27: A[3] is there, not A[1]"
    )
    click(page, ".lanes rect.step[data-go='20']")
    assert words(page).startswith("Step 20. The NIC looks page 1 up")
    click(page, ".lanes .fn[data-go='24']")
    assert words(page).startswith("Step 24. The GPU takes pages 0 to 3 away (CLEAR)")
    click(page, ".lanes rect.step[data-go='30']")
    click(page, ".chips .broken:nth-child(1) button")
    assert words(page).startswith("Step 24.")
    assert "Promise: before a notifier callback returns" in page.inner_text(".stage .panel")
    page.keyboard.press("Escape")
    open_drawer(page, "pictures")
    page.locator(".jupyter-widget-Collapse-header", has_text="timeline").first.click()
    page.wait_for_selector("[data-pane='timeline'][data-seq]")
    box = page.locator("[data-pane='timeline']").bounding_box()
    before = seq(page)
    page.mouse.click(box["x"] + 0.35 * box["width"], box["y"] + 0.5 * box["height"])
    when_drawn_again(page, before)
    assert not words(page).startswith("Step 24.")
    for kind in ("PNG", "SVG"):
        with page.expect_download() as saved:
            page.get_by_label(f"save timeline as {kind}").click()
        assert saved.value.suggested_filename == f"p2plab-timeline.{kind.lower()}"
        assert saved.value.path().stat().st_size > 3000
    page.get_by_text("what this model leaves out").first.click()
    assert page.get_by_text("PRI, PASID:").first.is_visible()
    open_drawer(page, "token")
    with page.expect_download() as saved:
        page.locator(".p2plab-drawer .jupyter-button", has_text="text").first.click()
    assert "BROKEN: obedience" in saved.value.path().read_text()
    assert watched.errors == []
    assert watched.abroad == []


def test_two_labs_in_one_notebook_do_not_disturb_each_other(lab_server: Server, watched: Watched):
    """A click in one changes nothing in the other."""
    page = watched.page
    write_notebook(
        lab_server,
        "twins.ipynb",
        "from p2plab.lab import Lab\nLab('workbench')",
        "Lab('workbench', importer='ignorant')",
    )
    open_notebook(page, lab_server, "twins.ipynb")
    run_all(page)
    wait_for_stages(page, 2)
    tokens = page.eval_on_selector_all("[data-view='token']", "all => all.map(e => e.innerText)")
    press(page, "map")
    after = page.eval_on_selector_all("[data-view='token']", "all => all.map(e => e.innerText)")
    assert after[0] != tokens[0]
    assert after[1] == tokens[1]
