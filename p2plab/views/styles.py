"""The design language outside of the stage: style sheets with its tokens, and the colours of pictures in the dark theme.

What is paper and ink changes in the dark; what carries a meaning keeps its hue. Fills that carry letters (objects, states)
stay as they are, and so do the letters on them, ``ON_FILL``.
"""

from collections.abc import Mapping
from pathlib import Path

from p2plab.views.picture import BLUE, GREEN, GREY, INK, ORANGE, PALE, PAPER, PINK, RED

_TOKENS = Path(__file__).parent / "tokens.css"


def styled(sheet: Path) -> str:
    """The text of a style sheet that uses the tokens of ``tokens.css``, and the tokens."""
    return _TOKENS.read_text(encoding="utf-8") + sheet.read_text(encoding="utf-8")


#: A colour on white paper -> the same on dark paper, by the tokens of ``tokens.css``.
DARK: Mapping[str, str] = {
    PAPER: "#0e1115",
    INK: "#f0f3f6",
    GREY: "#a7b1bc",
    PALE: "#77838f",
    BLUE: "#6cb8ee",
    GREEN: "#2fbf92",
    RED: "#ff8a3d",
    ORANGE: "#f0b323",
    PINK: "#e0a6c8",
}
