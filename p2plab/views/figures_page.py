"""One HTML file that steps through a run in any browser: no kernel, no server, no request to anywhere.

The drawing library is inside; everything that comes from a run is escaped, or put into the page as text by its script.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import bokeh
from bokeh.embed import json_item

from p2plab.core.run import Run
from p2plab.core.token import token_of
from p2plab.rules import Board
from p2plab.views import figures
from p2plab.views.leaves_out import LEAVES_OUT
from p2plab.views.stepwise import changes, states
from p2plab.views.text import board_of, story

_HERE = Path(__file__).parent
_BOKEHJS = Path(bokeh.__file__).parent / "server" / "static" / "js" / "bokeh.min.js"
_ARCHIVE = "https://lore.kernel.org/linux-mm/"

#: The page may run what it holds and draw; it may not ask anybody for anything.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline' blob:; img-src data: blob:; "
    "font-src data:; base-uri 'none'; form-action 'none'"
)

#: The pictures, in the order of the page, with the heading of each.
PANES = {"address-space": "Address space", "bar-map": "BAR aperture", "timeline": "Timeline"}


def page(run: Run) -> str:
    """The whole file. Equal runs give equal text. :exc:`BadInput` for a run too long to step through."""
    first, later = changes(states(run))
    drawn = {
        "address-space": figures.address_space_figure(run),
        "bar-map": figures.bar_map_figure(run),
        "timeline": figures.timeline_figure(run),
    }
    items = {name: renumbered(json_item(figure)) for name, figure in drawn.items()}
    data = _json({"items": items, "first": first, "later": later})
    library = _script(_BOKEHJS.read_text(encoding="utf-8"))
    body = "\n".join(_body(run, len(data.encode()), len(library.encode())))
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(run.scenario.title)}: a run of {len(run)} steps</title>\n"
        f"<style>\n{(_HERE / 'page.css').read_text(encoding='utf-8')}</style>\n</head>\n<body>\n{body}\n"
        f'<script type="application/json" id="run">{data}</script>\n'
        f"<script>{library}</script>\n"
        f"<script>\n{_script((_HERE / 'page.js').read_text(encoding='utf-8'))}</script>\n</body>\n</html>\n"
    )


def renumbered(item: Any) -> Any:
    """A figure's JSON with its ids counted from 1: Bokeh's own depend on what else the process has drawn."""
    names: dict[str, str] = {}

    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            return {
                key: names.setdefault(value, f"p{len(names) + 1}") if key in ("id", "root_id") else walk(value)
                for key, value in node.items()
            }
        return [walk(part) for part in node] if isinstance(node, list) else node

    return walk(item)


def _body(run: Run, data: int, library: int) -> Iterator[str]:
    scene = run.scenario
    knobs = ", ".join(f"{name}={value}" for name, value in run.settings.items())
    yield "<main>"
    yield f"<h1>{escape(scene.title)}</h1>"
    yield f"<p>{escape(scene.about)}</p>"
    yield f"<p>Scene <b>{escape(scene.name)}</b>, {len(run)} steps{f', with {escape(knobs)}' if knobs else ''}.</p>"
    yield "<noscript><p><b>Without scripts this page cannot step; the whole run is below, as text.</b></p></noscript>"
    yield from _controls(run)
    yield '<p id="verdict" role="status" data-words="verdict"></p>'
    for name, heading in PANES.items():
        yield f'<section><h2>{heading}</h2><div class="picture" role="img" data-pane="{name}"></div>'
        yield f'<p data-words="{name}"></p></section>'
    yield '<section><h2>Damage</h2><p class="lines" data-words="damage"></p></section>'
    yield from _board(board_of(run))
    yield "<section><h2>The whole run as text</h2><details open><summary>72 columns, to paste into a mail</summary>"
    yield f'<pre tabindex="0" aria-label="The run as text">{escape(story(run))}</pre></details></section>'
    yield "<section><h2>What this model leaves out</h2><ul>"
    yield from (f"<li><b>{escape(name)}</b>: {escape(what)}</li>" for name, what in LEAVES_OUT)
    yield "</ul></section>"
    yield f'<section><h2>Token</h2><p>Replays this run anywhere: <code id="token">{escape(token_of(run))}</code> '
    yield '<button type="button" id="copy">Copy</button> <output for="copy" id="copied"></output></p>'
    yield (
        f"<p>This file asks no server for anything. It holds {_size(library)} of drawing library "
        f"and {_size(data)} of this run.</p></section>"
    )
    yield "</main>"


def _controls(run: Run) -> Iterator[str]:
    yield '<div id="controls" role="group" aria-label="Step through the run">'
    for name, label in {"first": "First", "back": "Back", "step": "Step", "last": "Last"}.items():
        yield f'<button type="button" id="{name}">{label}</button>'
    yield f'<label>step <input type="range" id="slider" min="0" max="{len(run)}" value="0"></label>'
    yield f'<output for="slider" id="where">0 of {len(run)}</output>'
    yield '<span class="hint">Keys: arrow left and right, Home, End.</span>'
    yield "</div>"


def _board(board: Board) -> Iterator[str]:
    yield '<section><h2>The promises</h2><div class="wide" tabindex="0" role="region" aria-label="The promises"><table>'
    yield '<tr><th scope="col">rule</th><th scope="col">at this step</th>'
    yield '<th scope="col">promise</th><th scope="col">source</th></tr>'
    for rule in board.rules:
        source = escape(rule.source)
        where = f'<a href="{_ARCHIVE}{source}/">mail of 2019</a>' if "@" in source else f"<code>{source}</code>"
        yield (
            f'<tr><th scope="row">{escape(rule.name)}</th><td data-words="rule/{escape(rule.name)}"></td>'
            f"<td>{escape(rule.promise)}</td><td>{where}, {rule.basis()}</td></tr>"
        )
    yield "</table></div></section>"


def _json(value: Any) -> str:
    """JSON that cannot end the script element that holds it."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _script(text: str) -> str:
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _size(count: int) -> str:
    return f"{count / 1_000_000:.2f} MB" if count >= 1_000_000 else f"{max(1, round(count / 1000))} kB"
