"""One HTML file that steps through a run in any browser: no kernel, no server, no request to anywhere.

The stage fills the window; below it are the whole run as text, the other pictures in words, what the model leaves out, and
the token. Everything that comes from a run is escaped, or put into the page as text by its script.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from p2plab.catalog.played import KERNEL, play_of
from p2plab.core.errors import BadInput
from p2plab.core.run import Run
from p2plab.core.token import token_of
from p2plab.views.leaves_out import LEAVES_OUT
from p2plab.views.picture import Look
from p2plab.views.pictures import PICTURES
from p2plab.views.stage import moments
from p2plab.views.stage.files import stage_script, stage_style
from p2plab.views.stage.wire import changes, moment_json, objects_of, run_json, scene_json
from p2plab.views.text import story

_HERE = Path(__file__).parent

#: The page may run its own scripts, and may request nothing.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)

#: A longer run is too long to step through; its text or its log is better to read.
MOST_STEPS = 2_000


def page(run: Run) -> str:
    """The whole file. Equal runs give equal text. :exc:`BadInput` for a run too long to step through."""
    return document(run, {"run": stage_data(run)})


def document(
    run: Run, data: dict[str, Any], policy: str = POLICY, python: str = "", above: str = "", below: str = ""
) -> str:
    """A page that shows ``run`` first. ``data`` goes into script elements of these names: ``page.js`` reads them.

    ``python`` is the address of a worker that replays tokens; ``above`` and ``below`` are HTML around the page's own words.
    """
    held = {name: _json(value) for name, value in data.items()}
    module = _script(stage_script())
    style = stage_style() + (_HERE / "page.css").read_text(encoding="utf-8")
    body = "\n".join(_body(run, sum(len(text.encode()) for text in held.values()), len(module.encode()), bool(python)))
    scripts = "".join(f'<script type="application/json" id="{name}">{text}</script>\n' for name, text in held.items())
    attributes = f' data-python="{escape(python)}"' if python else ""
    attributes += f' data-own="{escape(run.scenario.name)}"' if "run" in data else ""
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(run.scenario.words_with(run.settings).title)}: a run of {len(run)} steps</title>\n"
        f"<style>\n{style}</style>\n</head>\n<body{attributes}>\n{above}{body}{below}\n"
        f"{scripts}"
        f'<script type="module">\n{module}\n{_script((_HERE / "page.js").read_text(encoding="utf-8"))}</script>\n'
        "</body>\n</html>\n"
    )


def stage_data(run: Run) -> dict[str, Any]:
    """What ``savedPage`` of ``stage.js`` takes: the scene, the run, the first moment, and of each later one what changed.

    :exc:`BadInput` for a run too long to step through.
    """
    if len(run) > MOST_STEPS:
        raise BadInput(f"the run has {len(run)} steps; a page that steps through it holds at most {MOST_STEPS}")
    objects = objects_of(run)
    first, later = changes(moment_json(moment, objects) for moment in moments(run))
    return {"scene": scene_json(run), "run": run_json(run), "first": first, "later": later}


def settings(run: Run) -> str:
    """``Scene NAME, 36 steps, with pages=4.``, and its result on a real kernel if it was played there."""
    knobs = ", ".join(f"{name}={value}" for name, value in run.settings.items())
    said = f"Scene {run.scenario.name}, {len(run)} steps{f', with {knobs}' if knobs else ''}."
    play = play_of(run.scenario, run.settings)
    return said if play is None else f"{said} The same on a real kernel, Linux {KERNEL}: {play}."


def other_pictures(run: Run) -> list[tuple[str, str]]:
    """The title of each picture of the run's end that is not the stage, and what it shows in words."""
    at = Look(run, len(run))
    return [(picture.title, picture.draw(at).alt) for picture in PICTURES.values()]


def _body(run: Run, data: int, module: int, python: bool) -> Iterator[str]:
    said = run.scenario.words_with(run.settings)
    yield '<div id="stage"></div>'
    yield '<p id="said" role="status" hidden></p>'
    yield "<main>"
    yield f'<h1 id="title">{escape(said.title)}</h1>'
    yield f'<p id="about">{escape(said.about)}</p>'
    yield f'<p id="scene">{escape(settings(run))}</p>'
    yield "<noscript><p><b>Without scripts this page cannot step; the whole run is below, as text.</b></p></noscript>"
    yield "<section><h2>The whole run as text</h2><details open><summary>72 columns, to paste into a mail</summary>"
    yield f'<pre tabindex="0" aria-label="The run as text" id="text">{escape(story(run))}</pre></details></section>'
    yield '<section id="pictures"><h2>Other pictures of this run, in words</h2><dl>'
    yield from (f"<dt>{escape(title)}</dt><dd>{escape(words)}</dd>" for title, words in other_pictures(run))
    yield "</dl></section>"
    yield "<section><h2>What this model leaves out</h2><ul>"
    yield from (f"<li><b>{escape(name)}</b>: {escape(what)}</li>" for name, what in LEAVES_OUT)
    yield "</ul></section>"
    yield f'<section><h2>Token</h2><p>Replays this run anywhere: <code id="token">{escape(token_of(run))}</code> '
    yield '<button type="button" id="copy">Copy</button> <output for="copy" id="copied"></output></p>'
    yield '<form id="open"><label for="wanted">Open another run: a scene or a token</label> '
    yield '<input id="wanted" autocomplete="off" spellcheck="false"> <button>Open</button></form>'
    yield '<p id="python"></p>'
    if python:
        yield "<p>Python runs in this page; only this site is asked for files.</p></section>"
    else:
        yield (
            f"<p>This file asks no server for anything. It holds {_size(module)} of script and {_size(data)} of runs.</p>"
            "</section>"
        )
    yield "</main>"


def _json(value: Any) -> str:
    """JSON that cannot end the script element that holds it."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _script(text: str) -> str:
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _size(count: int) -> str:
    return f"{count / 1_000_000:.2f} MB" if count >= 1_000_000 else f"{max(1, round(count / 1000))} kB"
