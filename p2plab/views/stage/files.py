"""The stage's script and style for a browser, each joined from its files into one text."""

from pathlib import Path

from p2plab.views.styles import styled

_HERE = Path(__file__).parent

#: One ES module: ``stage.js`` exports, and the files before it are what it is made of.
SCRIPTS = ("present.js", "ask.js", "story.js", "stage.js")
STYLES = ("stage.css", "present.css", "ask.css", "story.css")


def stage_script() -> str:
    """The text of the stage's ES module."""
    return "\n".join((_HERE / name).read_text(encoding="utf-8") for name in SCRIPTS)


def stage_style() -> str:
    """The text of the stage's style sheet, with the tokens of the design language in front."""
    first, *others = STYLES
    return styled(_HERE / first) + "".join((_HERE / name).read_text(encoding="utf-8") for name in others)
