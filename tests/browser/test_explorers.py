"""The explorers of a machine and of memory, in real JupyterLab."""

from tests.browser.conftest import Server, Watched
from tests.browser.notebook import colours, open_notebook, run_all, wait_for_pictures, write_notebook


def choose(page, label: str, value: str, pane: str) -> None:
    """Choose in a dropdown by its description, and wait until a pane has drawn anew."""
    before = page.get_attribute(f"[data-pane='{pane}']", "data-seq")
    box = page.locator(".p2plab-lab .widget-dropdown", has=page.locator("label", has_text=label)).first
    box.locator("select").select_option(value)
    page.wait_for_function(
        "([pane, before]) => document.querySelector(`[data-pane='${pane}']`).dataset.seq !== before", arg=[pane, before]
    )


def test_a_machine_is_drawn_and_a_pair_can_be_chosen(lab_server: Server, watched: Watched):
    """Tree, map, verdict; another client, another answer; a zoom with exact hex labels."""
    page = watched.page
    write_notebook(lab_server, "machine.ipynb", "from p2plab.lab import MachineLab\nMachineLab('q35_switch2')")
    open_notebook(page, lab_server, "machine.ipynb")
    run_all(page)
    wait_for_pictures(page, "pci-tree", "address-map")
    assert colours(page, "pci-tree") > 5
    assert colours(page, "address-map") > 5
    assert "BUS_ADDR, distance 4" in page.inner_text("[data-view='reach']")
    choose(page, "client", "0000:07:00.0", "pci-tree")
    assert "NOT_SUPPORTED, distance -1" in page.inner_text("[data-view='reach']")
    choose(page, "zoom to", "0000:03:00.0", "address-map")
    assert "0xe8000000 to" in page.get_attribute("[data-pane='address-map']", "aria-label")
    assert watched.abroad == []
    assert watched.errors == []


def test_memory_is_shown_before_and_after_with_the_notifier_s_range(lab_server: Server, watched: Watched):
    """munmap tells, fork of a device mapping does not."""
    page = watched.page
    write_notebook(lab_server, "memory.ipynb", "from p2plab.lab import MemoryLab\nMemoryLab('munmap_part', 'device')")
    open_notebook(page, lab_server, "memory.ipynb")
    run_all(page)
    wait_for_pictures(page, "before-after")
    assert colours(page, "before-after") > 5
    assert "UNMAP" in page.inner_text("[data-view='calls']")
    choose(page, "operation", "fork", "before-after")
    assert "none: no listener is told" in page.inner_text("[data-view='calls']")
    assert watched.abroad == []
    assert watched.errors == []
