"""Linked views, files and forks, as a person meets them in JupyterLab."""

from tests.browser.conftest import Server, Watched
from tests.browser.notebook import open_notebook, press, run_all, seq, wait_for_pictures, write_notebook


def tap(page, pane: str, x: float, y: float) -> None:
    """Click into a picture at a share of its width and height, and wait until it is drawn anew."""
    before = seq(page, pane)
    box = page.locator(f"[data-pane='{pane}']").bounding_box()
    page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
    page.wait_for_function(
        "([pane, before]) => Number(document.querySelector(`[data-pane='${pane}']`).dataset.seq) > before",
        arg=[pane, before],
    )


def words(page, pane: str) -> str:
    return page.get_attribute(f"[data-pane='{pane}']", "aria-label")


def test_a_click_into_a_picture_follows_a_page_and_goes_to_a_step(lab_server: Server, watched: Watched):
    """The page's whole way is told; a click on the timeline goes there; pictures can be saved."""
    page = watched.page
    write_notebook(lab_server, "linked.ipynb", "from p2plab.lab import Lab\nLab('defrag-ignorant')")
    open_notebook(page, lab_server, "linked.ipynb")
    run_all(page)
    wait_for_pictures(page)
    tap(page, "address-space", 0.5, 0.3)
    assert "followed: page 1 (0x7f5555401000)" in words(page, "address-space")
    assert "nic uses 0xe8004000, which is STALE" in words(page, "address-space")
    tap(page, "timeline", 0.35, 0.5)
    assert not words(page, "timeline").startswith("Step 0 ")
    for kind in ("PNG", "SVG"):
        with page.expect_download() as saved:
            page.get_by_label(f"save bar-map as {kind}").click()
        assert saved.value.suggested_filename == f"p2plab-bar-map.{kind.lower()}"
        assert saved.value.path().stat().st_size > 3000
    with page.expect_download() as saved:
        page.locator(".p2plab-lab button", has_text="text").first.click()
    assert "BROKEN: obedience" in saved.value.path().read_text()
    page.get_by_text("what this model leaves out").first.click()
    assert page.get_by_text("ATS, PRI, PASID:").first.is_visible()
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
    page.wait_for_function("document.querySelectorAll(\"[data-pane='timeline'][data-seq]\").length === 2")
    tokens = page.eval_on_selector_all("[data-view='token']", "all => all.map(e => e.innerText)")
    press(page, "map")
    after = page.eval_on_selector_all("[data-view='token']", "all => all.map(e => e.innerText)")
    assert after[0] != tokens[0]
    assert after[1] == tokens[1]
