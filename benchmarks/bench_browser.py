"""Click to pixels in real JupyterLab: from the browser's click event until the timeline's canvas has changed.

The canvas is sampled once per animation frame, so the figures include that sampling and software rendering: an upper bound.
"""

from __future__ import annotations

import statistics
import sys
from typing import Any

import pytest

from tests.browser.conftest import Server, Watched
from tests.browser.notebook import open_notebook, run_all, wait_for_pictures, write_notebook

CLICKS = 50
MEASURE = """async label => {
    const deep = (root, found = []) => {
        if (root instanceof HTMLCanvasElement) found.push(root);
        if (root.shadowRoot) deep(root.shadowRoot, found);
        for (const child of root.children ?? []) deep(child, found);
        return found;
    };
    const look = () => deep(document.querySelector("[data-pane='timeline']")).map(canvas => {
        const rows = [0.3, 0.5, 0.7, 0.9].map(y => Math.floor(canvas.height * y));
        return rows.map(y => canvas.getContext("2d").getImageData(0, y, canvas.width, 1).data.join()).join();
    }).join();
    const button = [...document.querySelectorAll(".p2plab-lab button")].find(b => b.innerText.trim() === label);
    const before = look();
    const start = performance.now();
    button.click();
    return await new Promise(done => {
        const check = () => {
            if (look() !== before) return done(performance.now() - start);
            if (performance.now() - start > 8000) return done(-1);
            requestAnimationFrame(check);
        };
        requestAnimationFrame(check);
    });
}"""


def test_click_to_pixels(lab_server: Server, watched: Watched) -> None:
    """Median and 95th percentile of steps through a run, forwards and back."""
    page: Any = watched.page
    frames: list[int] = []
    page.on("websocket", lambda ws: ws.on("framereceived", lambda data: frames.append(len(data))))
    write_notebook(lab_server, "bench.ipynb", "from p2plab.lab import Lab\nLab('defrag-obedient')")
    open_notebook(page, lab_server, "bench.ipynb")
    run_all(page)
    wait_for_pictures(page)
    page.wait_for_timeout(1000)
    frames.clear()
    times = [page.evaluate(MEASURE, "back") for _ in range(CLICKS)]
    assert min(times) > 0, "a click changed nothing within 8 s"
    times.sort()
    print(f"\nclick to pixels, {CLICKS} clicks on back: median {statistics.median(times):.0f} ms, ", end="")
    print(f"95th percentile {times[int(CLICKS * 0.95)]:.0f} ms, {sum(frames) / CLICKS / 1000:.1f} kB received a click")


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
