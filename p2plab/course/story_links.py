"""The five-minute stories without a kernel: for the page of all stories, and as a page of the docs."""

from __future__ import annotations

from html import escape
from typing import Any

from p2plab.course.beat import StoryBeat
from p2plab.course.stories import STORIES
from p2plab.views.links import carried, packed, shipped
from p2plab.views.page import document, stage_data

#: The page that the docs' links are about: ``p2plab export all --html stories.html``.
PAGE = "stories.html"


def story_page(number: str) -> str:
    """A page that plays one story at ``#story=06/1`` and contains only its runs."""
    story = STORIES[number]
    first = story.beats[0].run
    runs = {beat.run: packed(beat.run) for beat in story.beats}
    beats = [{"run": runs[beat.run], **_shown(beat)} for beat in story.beats]
    return document(first, {"run": stage_data(first), "told": {number: {"title": story.title, "beats": beats}}})


def beats_json() -> dict[str, Any]:
    """What ``page.js`` plays at ``#story=06/2``."""
    return {
        number: {"title": story.title, "beats": [_beat(beat) for beat in story.beats]}
        for number, story in STORIES.items()
    }


def _beat(beat: StoryBeat) -> dict[str, Any]:
    run = {"name": beat.run.scenario.name} if shipped(beat.run) else {"run": carried(beat.run)}
    return {**run, **_shown(beat)}


def _shown(beat: StoryBeat) -> dict[str, Any]:
    return {"step": beat.step, "words": beat.words, "picture": beat.picture}


def beats_list() -> str:
    """Every story as HTML: its beats in words, each a link to its step in the same page."""
    parts = ['<section id="five"><h2>Five-minute stories</h2>']
    for number, story in STORIES.items():
        beats = "".join(
            f'<li><a href="#story={number}/{at}">{escape(beat.where)}</a>: {escape(beat.words)}</li>'
            for at, beat in enumerate(story.beats, 1)
        )
        parts.append(f"<details><summary>{number} · {escape(story.title)}</summary><ol>{beats}</ol></details>")
    return "\n".join([*parts, "</section>"])


def stories_md() -> str:
    """``docs/stories.md``: every story in words, with the end of each address."""
    lines = [
        "# Five-minute stories",
        "",
        'One for each notebook: a few moments of runs, what to see there, and why. In a notebook `Story("06")` plays one step',
        f"by step; `p2plab export all --html {PAGE}` writes a page that plays all of them without Python:",
        f"`{PAGE}#story=06` opens one, `{PAGE}#story=06/2&present` its second beat in big type, for a projector. There",
        "PageDown and PageUp, which a presenter's keys send, go from beat to beat, and the arrows step inside of a beat. Each",
        "sentence below rests on claims that a test checks against the run.",
    ]
    for number, story in STORIES.items():
        lines += ["", f"## {number} · {story.title}", ""]
        for at, beat in enumerate(story.beats, 1):
            scene, rest = f"`{beat.scene}`", beat.where.removeprefix(beat.scene)
            lines.append(f"{at}. {beat.words} ({scene}{rest}: `#story={number}/{at}`)")
    return "\n".join(lines) + "\n"
