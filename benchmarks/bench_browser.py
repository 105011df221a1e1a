"""Click to pixels in real JupyterLab: from the click on *back*, or on *step*, until the browser has painted the other step.

The stage beside the plain way in the same notebook: the same step drawn as Bokeh figures into an Output. The stage sets a
number in the frame in which it is painted, and one frame more is waited for; the Output is watched for a canvas whose pixels
changed. Both figures include software rendering: an upper bound. On a busy machine the times say how busy it is; the processor
times beside them say what a click costs. *back* goes through a run whose moments the browser mostly has already. A *step* at
the end of a run is a new one, which the kernel has to take.
"""

from __future__ import annotations

import statistics
import sys
from typing import Any

import psutil
import pytest

from tests.browser.conftest import Server, Watched
from tests.browser.notebook import open_notebook, run_all, wait_for_pictures, write_notebook

CLICKS = 50
STAGE = """async () => {
    const stage = document.querySelector(".stage");
    const before = stage.dataset.seq;
    const start = performance.now();
    stage.querySelector(".bar .back").click();
    return await new Promise(done => {
        const check = () => {
            if (stage.dataset.seq !== before) return requestAnimationFrame(() => done(performance.now() - start));
            if (performance.now() - start > 8000) return done(-1);
            requestAnimationFrame(check);
        };
        requestAnimationFrame(check);
    });
}"""
PLAIN = """async () => {
    const box = document.querySelector(".redrawn");
    const deep = (root, found = []) => {
        if (root instanceof HTMLCanvasElement && root.width > 100) found.push(root);
        if (root.shadowRoot) deep(root.shadowRoot, found);
        for (const child of root.children ?? []) deep(child, found);
        return found;
    };
    const look = () => deep(box).map(canvas => [0.3, 0.5, 0.7].map(y =>
        canvas.getContext("2d").getImageData(0, Math.floor(canvas.height * y), canvas.width, 1).data.join()).join()).join();
    const before = look();
    const start = performance.now();
    box.querySelector("button").click();
    return await new Promise(done => {
        const check = () => {
            const now = look();
            if (now && now !== before) return done(performance.now() - start);
            if (performance.now() - start > 20000) return done(-1);
            requestAnimationFrame(check);
        };
        requestAnimationFrame(check);
    });
}"""
#: A run at whose end many steps can be taken.
BEGUN = """from p2plab.lab import Lab
lab = Lab('workbench', importer='obedient')
lab.press('map')
lab.run_on.value = 'nobody'
for action in ('dma', 'defrag'):
    lab.press(action)
lab.refresh()
lab"""
#: The plain way: a button and an Output into which the figures are drawn anew.
REDRAWN = """
import ipywidgets as widgets
from bokeh.io import output_notebook, show
from bokeh.layouts import column
from bokeh.resources import Resources
from p2plab.lab.session import Session
from p2plab.views.pictures.bar_map import bar_map, bar_map_figure
from p2plab.views.pictures.timeline import timeline, timeline_figure
output_notebook(Resources(mode="inline", components=["bokeh"]), hide_banner=True)
session, out, button = Session("defrag-obedient"), widgets.Output(), widgets.Button(description="back")

def draw(_button=None):
    session.look_at(session.step - 1)
    pictures = {"slots": (bar_map_figure(session.run), bar_map(session.run, session.step)),
                "lanes": (timeline_figure(session.run), timeline(session.run, session.step, session.board))}
    for figure, picture in pictures.values():
        for name, columns in picture.data.items():
            figure.select_one({"name": name}).data = columns
    with out:
        out.clear_output(wait=True)
        show(column(*(figure for figure, _ in pictures.values())))

button.on_click(draw)
box = widgets.VBox([button, out])
box.add_class("redrawn")
box
"""


def processor() -> dict[str, float]:
    """Processor time so far, in seconds, of everything that this process started: kernel, server and browser."""
    spent = dict.fromkeys(("kernel", "server", "browser"), 0.0)
    for process in psutil.Process().children(recursive=True):
        try:
            line, times = " ".join(process.cmdline()), process.cpu_times()
        except psutil.Error:  # it has ended meanwhile
            continue
        who = (
            "kernel" if "ipykernel" in line else "server" if "jupyter" in line else "browser" if "chrom" in line else ""
        )
        if who:
            spent[who] += times.user + times.system
    return spent


def test_click_to_pixels(lab_server: Server, watched: Watched) -> None:
    """Median and 95th percentile of steps back through a run, both ways, and what a click of the stage sends."""
    page: Any = watched.page
    frames: list[int] = []
    page.on("websocket", lambda ws: ws.on("framereceived", lambda data: frames.append(len(data))))
    page.set_viewport_size({"width": 1280, "height": 3200})  # JupyterLab draws no cell that is far out of sight
    write_notebook(lab_server, "bench.ipynb", "from p2plab.lab import Lab\nLab('defrag-obedient')", REDRAWN)
    open_notebook(page, lab_server, "bench.ipynb")
    run_all(page)
    wait_for_pictures(page)
    page.locator(".redrawn button").wait_for()
    page.wait_for_timeout(1500)
    for name, measure in (("the stage", STAGE), ("an Output", PLAIN)):
        page.evaluate(measure)  # the first one is not counted: the Output shows nothing before it
        page.wait_for_timeout(1000)
        frames.clear()
        before = processor()
        times = sorted(page.evaluate(measure) for _ in range(CLICKS))
        spent = {who: (after - before[who]) / CLICKS * 1000 for who, after in processor().items()}
        assert times[0] > 0, f"{name}: a click changed nothing"
        print(f"\n{name}, {CLICKS} clicks on back: median {statistics.median(times):.0f} ms, ", end="")
        print(
            f"95th percentile {times[int(CLICKS * 0.95)]:.0f} ms, {sum(frames) / CLICKS / 1000:.1f} kB received a click"
        )
        print("  processor time a click: " + ", ".join(f"{who} {ms:.0f} ms" for who, ms in spent.items()))


@pytest.mark.parametrize(
    ("what", "cell", "button", "clicks"),
    [
        ("new steps", BEGUN, ".forward", 30),
        ("64 slots, back", "Lab('defrag-ignorant', pages=16, slots=64)", ".back", CLICKS),
    ],
)
def test_other_clicks(lab_server: Server, watched: Watched, what: str, cell: str, button: str, clicks: int) -> None:
    """Steps that are not there yet; the largest picture that is drawn slot by slot."""
    page: Any = watched.page
    frames: list[int] = []
    page.on("websocket", lambda ws: ws.on("framereceived", lambda data: frames.append(len(data))))
    name = f"bench-{what.replace(' ', '-')}.ipynb"
    write_notebook(lab_server, name, f"from p2plab.lab import Lab\n{cell}")
    open_notebook(page, lab_server, name)
    run_all(page)
    wait_for_pictures(page)
    page.wait_for_timeout(1500)
    measure = STAGE.replace(".bar .back", f".bar {button}")
    page.evaluate(measure)
    page.wait_for_timeout(1000)
    frames.clear()
    before = processor()
    times = sorted(page.evaluate(measure) for _ in range(clicks))
    spent = {who: (after - before[who]) / clicks * 1000 for who, after in processor().items()}
    assert times[0] > 0, f"{what}: a click changed nothing"
    print(f"\n{what}, {clicks} clicks: median {statistics.median(times):.0f} ms, ", end="")
    print(f"95th percentile {times[int(clicks * 0.95)]:.0f} ms, {sum(frames) / clicks / 1000:.1f} kB received a click")
    print("  processor time a click: " + ", ".join(f"{who} {ms:.0f} ms" for who, ms in spent.items()))


def test_memory_of_a_lab(lab_server: Server, watched: Watched) -> None:
    """What ten more labs in one kernel cost, each."""
    page: Any = watched.page
    lines = (
        "from pathlib import Path\nfrom p2plab.lab import Lab\n"
        "def now(): return int(Path('/proc/self/statm').read_text().split()[1]) * 4096 / 1e6\n"
        "first, before = Lab('defrag-obedient'), now()\n"
        "labs = [Lab('defrag-obedient') for _ in range(10)]\n"
        "print('MEM' + 'ORY', round((now() - before) / 10, 1), round(before))"
    )
    write_notebook(lab_server, "memory-of-a-lab.ipynb", lines)
    open_notebook(page, lab_server, "memory-of-a-lab.ipynb")
    run_all(page)
    said = page.locator("text=/^MEMORY/").first.inner_text().split()
    print(f"\nkernel memory: {said[2]} MB with one lab, {said[1]} MB for each more")


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", "-s", "-p", "tests.browser.conftest"]))
