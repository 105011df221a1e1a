"""The colours of pictures in the dark theme: what is paper and ink changes, what carries a meaning keeps its hue.

Fills that carry letters (objects, states) stay as they are, and so do the letters on them, ``ON_FILL``.
"""

from collections.abc import Mapping

from p2plab.views.picture import BLUE, GREEN, GREY, INK, ORANGE, PALE, PAPER, PINK, RED

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
