"""``p2plab story``: a notebook's five-minute story in words, and one beat of it with the stage as text."""

from __future__ import annotations

import argparse
import textwrap

from p2plab.cli.frame import number, print_json
from p2plab.core.errors import BadInput
from p2plab.core.token import token_of
from p2plab.course.beat import FiveMinutes
from p2plab.course.stories import STORIES, story_of
from p2plab.views.stage import moment
from p2plab.views.stage.text import stage_text

WIDTH = 72


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    command = commands.add_parser("story", help="a notebook's five-minute story: what to see in a run, and why")
    command.add_argument("notebook", nargs="?", metavar="NOTEBOOK", help="00 to 13; without one, all titles")
    command.add_argument("--beat", type=number, metavar="N", help="one moment of it, with the stage as text")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit 0; 2 for a story or a beat that is not there."""
    if arguments.notebook is None:
        if arguments.beat is not None:
            raise BadInput("--beat needs a story: p2plab story 00 --beat 1")
        stories = list(STORIES.values())
    else:
        stories = [story_of(arguments.notebook)]
    if arguments.beat is not None and not 1 <= arguments.beat <= len(stories[0].beats):
        raise BadInput(f"story {stories[0].number} has beats 1 to {len(stories[0].beats)}, not {arguments.beat}")
    if arguments.json:
        print_json("story", {"stories": [_as_json(story) for story in stories]})
    elif arguments.notebook is None:
        print("\n".join([*(f"{story.number}  {story.title}" for story in stories), "", "One of them: p2plab story 00"]))
    elif arguments.beat is None:
        print("\n".join([f"{stories[0].number} · {stories[0].title}", *_beats(stories[0])]))
    else:
        print("\n".join(_beat(stories[0], arguments.beat)))
    return 0


def _beats(story: FiveMinutes) -> list[str]:
    lines = []
    for at in range(1, len(story.beats) + 1):
        lines += ["", *_words(story, at)]
    return [*lines, "", f"One of them with its picture: p2plab story {story.number} --beat 1"]


def _words(story: FiveMinutes, at: int) -> list[str]:
    beat = story.beats[at - 1]
    return [f"{at}. {beat.where}", *textwrap.wrap(beat.words, WIDTH, initial_indent="   ", subsequent_indent="   ")]


def _beat(story: FiveMinutes, at: int) -> list[str]:
    beat = story.beats[at - 1]
    return [
        *_words(story, at),
        "",
        *stage_text(moment(beat.run, beat.step)).splitlines(),
        "",
        f"token: {token_of(beat.run)}",
    ]


def _as_json(story: FiveMinutes) -> dict[str, object]:
    beats = [
        {
            "scene": beat.run.scenario.name,
            "knobs": dict(beat.run.settings),
            "step": beat.step,
            "words": beat.words,
            "picture": beat.picture,
            "token": token_of(beat.run),
        }
        for beat in story.beats
    ]
    return {"notebook": story.number, "title": story.title, "beats": beats}
