"""The search, the folded pictures, two runs side by side, and the last run after a restart: in JupyterLab."""

from tests.browser.conftest import Server, Watched
from tests.browser.notebook import (
    broken,
    button,
    colours,
    open_drawer,
    open_notebook,
    press,
    run_all,
    said,
    wait_for_pictures,
    wait_for_stages,
    write_notebook,
)


def unfold(page, title: str) -> None:
    """Open a folded part of the lab."""
    page.locator(".p2plab-lab .jupyter-widget-Collapse-header", has_text=title).first.click()


def test_check_opens_the_smallest_story_and_draws_its_states(lab_server: Server, watched: Watched):
    """The answer is read out, the counterexample is there, the folded pictures draw when they are opened."""
    page = watched.page
    write_notebook(lab_server, "check.ipynb", "from p2plab.lab import Lab\nLab('workbench', importer='ignorant')")
    open_notebook(page, lab_server, "check.ipynb")
    run_all(page)
    wait_for_pictures(page)
    button(page, "check every order").click()
    page.wait_for_function("document.querySelector(\"[data-view='check']\")?.innerText.includes('BREAKS')")
    assert said(page, "check").startswith("workbench with importer=ignorant, ")
    assert "BREAKS obedience: 2 switches" in said(page, "check")
    page.wait_for_function("document.querySelector('.stage .chips .broken')?.innerText.includes('obedience')")
    open_drawer(page, "pictures")
    unfold(page, "states of the last search")
    page.wait_for_selector("[data-pane='state-graph'][data-seq]")
    page.wait_for_function("document.querySelector(\"[data-pane='state-graph']\").getBoundingClientRect().height > 200")
    unfold(page, "who sets and who calls")
    page.wait_for_selector("[data-pane='call-graph'][data-seq]")
    page.wait_for_function("document.querySelector(\"[data-pane='call-graph']\").getBoundingClientRect().height > 200")
    page.wait_for_timeout(500)
    assert colours(page, "call-graph") > 5
    unfold(page, "PCI tree")
    assert "exporter: gpu" in page.locator("[data-view='pci-tree'] .exporter").inner_text()
    assert "hmm calls gpu.p2p_map" in page.get_attribute("[data-pane='call-graph']", "aria-label")
    unfold(page, "device memory")
    page.wait_for_selector("[data-view='memory']")
    assert "A[0]" in said(page, "memory")
    assert watched.errors == []
    assert watched.abroad == []


def test_two_runs_stand_side_by_side(lab_server: Server, watched: Watched):
    """One press goes to both; one keeps every rule, the other does not."""
    page = watched.page
    write_notebook(lab_server, "compare.ipynb", "from p2plab.lab import CompareLab\nCompareLab('workbench')")
    open_notebook(page, lab_server, "compare.ipynb")
    run_all(page)
    wait_for_stages(page, 2)
    for name in ("map", "start DMA", "step", "step", "step", "defrag", "run on"):
        press(page, name)
    assert broken(page, 0) == []
    assert broken(page, 1) == ["obedience", "no-stale-dma"]
    assert page.locator(".stage .differs").count() > 4
    assert watched.errors == []


def test_after_a_restart_of_the_kernel_the_last_run_can_be_resumed(lab_server: Server, watched: Watched):
    """Nothing is lost but the clicks."""
    page = watched.page
    write_notebook(lab_server, "resume.ipynb", "from p2plab.lab import Lab\nLab('workbench')")
    open_notebook(page, lab_server, "resume.ipynb")
    run_all(page)
    wait_for_pictures(page)
    press(page, "map")
    press(page, "start DMA")
    token = said(page, "token")
    page.get_by_role("menuitem", name="Kernel", exact=True).first.click()
    page.get_by_role("menuitem", name="Restart Kernel and Run All Cells").first.click()
    page.locator(".jp-Dialog button.jp-mod-accept").click()
    page.wait_for_function(
        "token => { const view = document.querySelector(\"[data-view='token']\");"
        " return view && view.innerText !== token; }",
        arg=token,
    )
    wait_for_pictures(page)
    open_drawer(page, "token")
    button(page, "resume the last run").click()
    page.wait_for_function("token => document.querySelector(\"[data-view='token']\").innerText === token", arg=token)
    assert broken(page) == []
