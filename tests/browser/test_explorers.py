"""The explorers of a machine and of memory, in real JupyterLab."""

import re

from p2plab.lab import MachineLab
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


#: In simple mode: a cell of 1110 by 600, and one of 850 by 600, as beside the file browser.
WINDOWS = ((1280, 720), (1018, 720))
#: The parts of an explorer that are not wholly in the window.
OUTSIDE = """parts => parts.filter(part => {
    const box = document.querySelector(`.p2plab-lab ${part}`).getBoundingClientRect();
    const room = document.querySelector(".jp-WindowedPanel-outer").getBoundingClientRect();
    return box.height < 8 || box.top < room.top - 1 || box.bottom > room.bottom + 1 || box.right > room.right + 1;
})"""


def out_of_sight(page, *parts: str) -> list[str]:
    """In either window, with the explorer at its top."""
    outside = []
    for width, height in WINDOWS:
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(300)  # the picture follows the window
        page.locator(".p2plab-lab").first.evaluate("e => e.scrollIntoView({block: 'start'})")
        outside += [f"{part} at {width}" for part in page.evaluate(OUTSIDE, list(parts))]
    page.set_viewport_size({"width": 1280, "height": 1800})
    return outside


def group(page, name: str) -> None:
    """Open a group of controls."""
    page.locator(".p2plab-groups .lm-TabBar-tab", has_text=name).click()


def test_a_machine_is_drawn_and_a_pair_can_be_chosen(lab_server: Server, watched: Watched):
    """Tree, map, verdict, all in sight of each control; another client, another answer; a zoom with exact hex labels."""
    page = watched.page
    write_notebook(lab_server, "machine.ipynb", "from p2plab.lab import MachineLab\nMachineLab('q35_switch2')")
    open_notebook(page, lab_server, "machine.ipynb")
    run_all(page)
    wait_for_pictures(page, "address-map")
    assert "0000:03:00.0" in page.inner_text("[data-view='pci-tree'] .exporter")
    assert page.inner_text("[data-view='pci-tree'] .importer .role") == "importer"
    assert colours(page, "address-map") > 5
    assert "BUS_ADDR, distance 4" in page.inner_text("[data-view='reach']")
    choose(page, "importer", "0000:07:00.0", "address-map")
    page.locator("[data-view='pci-tree'] .importer", has_text="0000:07:00.0").wait_for()
    assert "NOT_SUPPORTED, distance -1" in page.inner_text("[data-view='reach']")
    for name in ("play a scene here", "what if", "pair", "zoom the map"):
        group(page, name)
        parts = (
            ".p2plab-groups .widget-tab-contents > :not(.lm-mod-hidden) select",
            "[data-view='verdict']",
            "[data-view='pci-tree']",
            "[data-pane='address-map']",
        )
        assert out_of_sight(page, *parts) == [], name
    group(page, "what if")
    page.locator(".p2plab-groups .widget-tab-contents > :not(.lm-mod-hidden) select").nth(1).select_option("off")
    page.locator("[data-view='verdict'] small", has_text="Since the change: this pair").wait_for()
    assert out_of_sight(page, "[data-view='verdict'] small", "[data-view='pci-tree']") == []
    page.locator(".p2plab-groups button:visible", has_text="as it is").click()
    page.locator("[data-view='verdict'] small").wait_for(state="detached")
    group(page, "zoom the map")
    choose(page, "zoom to", "0000:03:00.0", "address-map")
    assert "0xe8000000 to" in page.get_attribute("[data-pane='address-map']", "aria-label")
    assert watched.abroad == []
    assert watched.errors == []


#: A laptop whose BARs lie where a double, the only number of JavaScript, cannot tell neighbours apart.
FAR = """00:00.0 Host bridge: Intel Corporation 82G33/G31/P35/P31 Express DRAM Controller
00:02.0 3D controller: a GPU far above 2^53
\tRegion 0: Memory at fffff12345600000 (64-bit, prefetchable) [size=1M]
\tRegion 2: Memory at 20000000001000 (64-bit, prefetchable) [size=4K]
00:03.0 Ethernet controller: a NIC
\tRegion 0: Memory at e8000000 (32-bit, non-prefetchable) [size=16K]
"""

#: The columns that the page draws, of every figure in it.
DRAWN = """source => Bokeh.documents.map(one => one.get_model_by_name(source)).filter(one => one)[0].data"""


def test_hex_labels_above_2_to_53_are_the_model_s_to_the_last_digit(lab_server: Server, watched: Watched):
    """What is drawn, what the pointer is told, and what is said."""
    page = watched.page
    write_notebook(lab_server, "far.ipynb", f"from p2plab.lab import MachineLab\nMachineLab({FAR!r})")
    open_notebook(page, lab_server, "far.ipynb")
    run_all(page)
    wait_for_pictures(page, "address-map")
    ours = MachineLab(FAR).map.data
    assert page.evaluate(f"({DRAWN})('ticks').label") == ours["ticks"]["label"]
    assert page.evaluate(f"({DRAWN})('boxes').hover") == ours["boxes"]["hover"]
    assert ours["boxes"]["hover"][2] == "exporter: 0000:00:02.0 BAR 0: 0xfffff12345600000 to 0xfffff123456fffff, 1 MiB"
    pane = page.locator("[data-pane='address-map']")
    pane.scroll_into_view_if_needed()
    box = pane.bounding_box()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.42 * box["height"])
    page.get_by_text("0xfffff12345600000 to 0xfffff123456fffff").wait_for()
    group(page, "zoom the map")
    choose(page, "zoom to", "0000:00:02.0", "address-map")
    said = MachineLab(FAR)
    said.zoomed.value = "0000:00:02.0"
    assert "0x20000000001000" in said.map.alt
    assert pane.get_attribute("aria-label") == said.map.alt
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
    assert (
        out_of_sight(page, "select", "[data-view='asked']", "[data-pane='before-after']", "[data-view='calls']") == []
    )
    choose(page, "operation", "fork", "before-after")
    page.locator("[data-view='calls']", has_text="none: no listener is called").wait_for()
    assert watched.abroad == []
    assert watched.errors == []


def test_the_designs_table_marks_the_cell_and_opens_its_run(lab_server: Server, watched: Watched):
    """The project's styles are there although there is no picture yet; the run behind the answer is drawn below."""
    page = watched.page
    write_notebook(lab_server, "designs.ipynb", "from p2plab.lab import DesignsLab\nDesignsLab()")
    open_notebook(page, lab_server, "designs.ipynb")
    run_all(page)
    chosen = page.locator("[data-view='matrix'] td[aria-current]")
    chosen.wait_for()
    assert chosen.inner_text() == "invalidate_range_start"
    assert chosen.evaluate("cell => getComputedStyle(cell).outlineStyle") == "solid"
    box = page.locator(".p2plab-lab .widget-dropdown", has=page.locator("label", has_text="design")).first
    box.locator("select").select_option("vfio-mmap")
    page.get_by_text(re.compile("vfio-mmap, Linux 7.3 .*: invalidate_mappings")).wait_for()
    assert chosen.inner_text() == "invalidate_mappings"
    cell, table = chosen.bounding_box(), page.locator(".p2plab-wide").bounding_box()
    assert table["x"] <= cell["x"]
    assert cell["x"] + cell["width"] <= min(table["x"] + table["width"], 1280) + 1
    page.locator(".p2plab-lab button", has_text="open its run").click()
    wait_for_pictures(page)
    assert page.locator(".stage .cell").count() > 10
    assert watched.abroad == []
    assert watched.errors == []
