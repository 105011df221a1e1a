"""Slides that open runs: turns a text into one HTML file whose slides have a sentence or two and a run at a step.

The text is Markdown of the plainest kind: ``## `` begins a slide, paragraphs are its words, and two lines may follow: ``run:
defrag-ignorant@24`` (a scene or a code of the catalogue, and a step; ``@break`` is where its story breaks) and ``ask:`` with a
question for the class. The runs are in the page of all stories, ``p2plab export all --html stories.html``, beside it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

from p2plab.core.errors import BadInput
from p2plab.everything import find
from p2plab.rules import judge, watched_by
from p2plab.views.links import told

#: The page with the runs, as seen from the slides.
STORIES = "stories.html"
LONGEST = 200_000


@dataclass(frozen=True)
class Slide:
    """One slide. ``run`` is a scene's name, or empty; ``step`` is where it opens."""

    title: str
    words: tuple[str, ...] = ()
    run: str = ""
    step: int = 0
    ask: str = ""


def slides_in(text: str) -> tuple[str, tuple[Slide, ...]]:
    """The title and slides of a text. BadInput names the slide that cannot be read or whose run does not exist."""
    if len(text) > LONGEST:
        raise BadInput(f"{len(text):,} characters are too many for slides: at most {LONGEST:,}")
    title, slides = "Slides", list[Slide]()
    for block in _blocks(text):
        line = " ".join(block.split())
        if line.startswith("## "):
            slides.append(Slide(line[3:]))
        elif line.startswith("# "):
            title = line[2:]
        elif not slides:
            continue  # text before the first slide is for readers of the source
        elif line.startswith("run:"):
            slides[-1] = _with_run(slides[-1], line[4:].strip())
        elif line.startswith("ask:"):
            slides[-1] = replace(slides[-1], ask=line[4:].strip())
        elif line:
            slides[-1] = replace(slides[-1], words=(*slides[-1].words, line))
    if not slides:
        raise BadInput("there is no slide in it: a line that begins with ## begins one")
    return title, tuple(slides)


def _blocks(text: str) -> list[str]:
    """Split into title lines, special lines and paragraphs."""
    apart = re.sub(r"(?m)^(#.*|run:.*|ask:.*)$", r"\n\1\n", text)
    return [block for block in re.split(r"\n\s*\n", apart) if block.strip()]


def _with_run(slide: Slide, said: str) -> Slide:
    name, at, step = said.partition("@")
    if not at or not (step == "break" or re.fullmatch(r"[0-9]{1,5}", step)):
        raise BadInput(f"slide {slide.title!r}: {said[:60]!r} is no run; write run: NAME@STEP, or NAME@break")
    try:
        run = told(find(name).name)
    except BadInput as error:
        raise BadInput(f"slide {slide.title!r}: {error}") from None
    if step == "break":
        findings = judge(run.log, watched_by(run.scenario)).findings
        own = [one for one in findings if one.rule == run.scenario.breaks] or list(findings)
        if not own:
            raise BadInput(f"slide {slide.title!r}: nothing breaks in the story of {name}")
        return replace(slide, run=run.scenario.name, step=own[0].step)
    if int(step) > len(run):
        raise BadInput(f"slide {slide.title!r}: the story of {name} has {len(run)} steps, not {step}")
    return replace(slide, run=run.scenario.name, step=int(step))


def slides_page(text: str, stories: str = STORIES) -> str:
    """The HTML file. ``stories``: the address of the page with the runs."""
    title, slides = slides_in(text)
    parts = "\n".join(_section(number, slide, stories) for number, slide in enumerate(slides, 1))
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>
<style>{_STYLE}</style></head>
<body>
<main>
{parts}
</main>
<nav aria-label="slides"><button id="back">back</button> <span id="at" role="status"></span> <button id="on">on</button></nav>
<script>{_SCRIPT}</script>
</body>
</html>
"""


def _section(number: int, slide: Slide, stories: str) -> str:
    words = "".join(f"<p>{escape(line)}</p>" for line in slide.words)
    ask = f'<p class="ask">{escape(slide.ask)}</p>' if slide.ask else ""
    shown = ""
    if slide.run:
        address = f"{stories}#{slide.run}@{slide.step}"
        shown = (
            f'<p class="where"><a href="{escape(address)}&amp;present" target="_blank">{escape(slide.run)}, step {slide.step}, '
            f'in big type</a></p><iframe data-src="{escape(address)}" title="{escape(slide.title)}: the run"></iframe>'
        )
    return f'<section id="s{number}" hidden><h1>{escape(slide.title)}</h1>{words}{ask}{shown}</section>'


def write_slides(path: str | Path, text: str | Path = "", stories: str = STORIES) -> Path:
    """Write the page. ``text``: a text or the path of one; default: the slides of the course. OSError, BadInput."""
    from p2plab.course.lecture import LECTURE

    given = text.read_text(encoding="utf-8") if isinstance(text, Path) else text
    target = Path(path)
    target.write_text(slides_page(given or LECTURE, stories), encoding="utf-8")
    return target


_STYLE = """
:root { color-scheme: light dark; font: 26px/1.4 system-ui, sans-serif; }
body { margin: 0; background: Canvas; color: CanvasText; }
section { box-sizing: border-box; height: calc(100vh - 3rem); padding: .6rem 1.2rem 0; display: flex; flex-direction: column; }
section[hidden] { display: none; }
h1 { font-size: 1.5em; margin: 0 0 .2em; }
p { margin: 0 0 .3em; max-width: 60em; }
.ask { font-weight: 700; }
.ask::before { content: "? "; }
.where { font-size: .6em; margin: 0; }
a { color: LinkText; }
iframe { flex: 1; width: 100%; border: 1px solid GrayText; background: Canvas; }
nav { position: fixed; bottom: 0; left: 0; right: 0; height: 3rem; display: flex; gap: 1em; align-items: center;
  justify-content: center; font-size: .7em; }
button { font: inherit; padding: .2em 1em; }
@media (max-width: 700px) { :root { font-size: 18px; } }
"""
_SCRIPT = """
const slides = [...document.querySelectorAll("section")];
let now = 0;
function show(number) {
  now = Math.max(0, Math.min(slides.length - 1, number));
  slides.forEach((slide, at) => { slide.hidden = at !== now; });
  const run = slides[now].querySelector("iframe");
  if (run && !run.src) run.src = run.dataset.src;
  document.getElementById("at").textContent = `${now + 1} of ${slides.length}`;
  document.getElementById("back").disabled = now === 0;
  document.getElementById("on").disabled = now === slides.length - 1;
  history.replaceState(null, "", `#${now + 1}`);
}
addEventListener("keydown", event => {
  const by = { PageDown: 1, ArrowRight: 1, " ": 1, PageUp: -1, ArrowLeft: -1 }[event.key];
  if (by && event.target.tagName !== "BUTTON") { event.preventDefault(); show(now + by); }
});
addEventListener("hashchange", () => show(Number(location.hash.slice(1)) - 1));
document.getElementById("back").onclick = () => show(now - 1);
document.getElementById("on").onclick = () => show(now + 1);
show((Number(location.hash.slice(1)) || 1) - 1);
"""
