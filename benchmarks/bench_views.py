"""Click to pixels in real JupyterLab: our panes beside the plain way, for a small scene and for a large one.

From the browser's click until the canvases of *both* pictures show something else. The canvases are sampled once per
animation frame, so the figures include that sampling and software rendering: an upper bound. The plain way draws the
whole figure again into an Output widget. Run it as ``python benchmarks/bench_views.py``; about three minutes.
"""

from __future__ import annotations

import statistics
import sys
from typing import Any

import pytest

from tests.browser.conftest import ROOT, Server, Watched
from tests.browser.notebook import open_notebook, run_all, wait_for_pictures, write_notebook

#: Blocks, events, and how often each button is pressed.
SIZES = {"small": (200, 1_000, 50), "large": (10_000, 20_000, 20)}

MEASURE = """async name => {
    const box = document.querySelector(name === "ours" ? ".p2plab-lab" : ".plain-lab");
    const deep = (root, found = []) => {
        if (root instanceof HTMLCanvasElement && root.width > 100 && root.height) found.push(root);
        if (root.shadowRoot) deep(root.shadowRoot, found);
        for (const child of root.children ?? []) deep(child, found);
        return found;
    };
    const rows = [0.25, 0.35, 0.45, 0.5, 0.55, 0.65, 0.75];
    const sample = canvas => rows.map(y => {
        const row = canvas.getContext("2d").getImageData(0, Math.floor(canvas.height * y), canvas.width, 1).data;
        let sum = 7;
        for (const value of row) sum = (sum * 31 + value) | 0;
        return sum;
    }).join();
    const look = () => deep(box).map(sample); // first those of the map, then those of the timeline
    const before = look();
    const start = performance.now();
    box.querySelector("button").click();
    let flicker = 0;
    return await new Promise(done => {
        const check = () => {
            const now = look();
            if (now.length < before.length) flicker++;
            else {
                const half = Math.floor(now.length / 2);
                const differs = (from, to) => now.slice(from, to).join("|") !== before.slice(from, to).join("|");
                if (differs(0, half) && differs(half)) return done([performance.now() - start, flicker]);
            }
            if (performance.now() - start > 20000) return done([-1, flicker]);
            requestAnimationFrame(check);
        };
        requestAnimationFrame(check);
    });
}"""


@pytest.mark.parametrize("size", SIZES)
def test_click_to_pixels(lab_server: Server, watched: Watched, size: str) -> None:
    """Median and 95th percentile, bytes per click, blank frames; then the kernel's memory."""
    blocks, events, clicks = SIZES[size]
    page: Any = watched.page
    page.set_viewport_size({"width": 1280, "height": 2400})
    frames: list[int] = []
    page.on("websocket", lambda ws: ws.on("framereceived", lambda data: frames.append(len(data))))
    write_notebook(
        lab_server,
        f"views-{size}.ipynb",
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from bokeh.io import output_notebook\nfrom bokeh.resources import Resources\n"
        'output_notebook(Resources(mode="inline", components=["bokeh"]), hide_banner=True)\n'
        f"from benchmarks.large_pictures import Large, ours, plain, memory\nlarge = Large({blocks}, {events})",
        "ours(large)",
        "plain(large)",
        "print('MEM' + 'ORY', round(memory()))",
    )
    open_notebook(page, lab_server, f"views-{size}.ipynb")
    run_all(page)
    wait_for_pictures(page, "bar-map", "timeline")
    page.wait_for_selector("text=/^MEMORY/", state="attached")
    page.locator(".plain-lab button").click()  # an Output shows nothing before its first click
    page.wait_for_function(COUNT, arg=".plain-lab")
    page.wait_for_timeout(1500)
    results = {}
    for name in ("ours", "plain"):
        frames.clear()
        times = []
        blank = 0
        for _ in range(clicks):
            ms, missing = page.evaluate(MEASURE, name)
            assert ms > 0, f"{name}: a click changed nothing within 20 s"
            times.append(ms)
            blank += missing
        times.sort()
        results[name] = statistics.median(times)
        print(
            f"\n{size} ({blocks:,} blocks, {events:,} events), {name}: median {statistics.median(times):.0f} ms, "
            f"95th percentile {times[int(clicks * 0.95) - 1]:.0f} ms, {sum(frames) / clicks / 1000:,.0f} kB a click, "
            f"{blank} frames without a figure in {clicks} clicks",
            end="",
        )
    said = page.locator("text=/^MEMORY/").first.inner_text()
    print(
        f"\n{size}: {results['plain'] / results['ours']:.1f} times faster; kernel at most {said.split()[1]} MB, both ways"
    )


#: How many canvases one way has drawn.
COUNT = """name => {
    const deep = root => (root instanceof HTMLCanvasElement && root.width ? 1 : 0)
        + (root.shadowRoot ? deep(root.shadowRoot) : 0)
        + [...(root.children ?? [])].reduce((sum, child) => sum + deep(child), 0);
    return deep(document.querySelector(name)) >= 2;
}"""


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", "-s", "-p", "tests.browser.conftest", *sys.argv[1:]]))
