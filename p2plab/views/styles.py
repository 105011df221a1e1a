"""Style sheets with the tokens of the design language in front of them."""

from pathlib import Path

_TOKENS = Path(__file__).parent / "tokens.css"


def styled(sheet: Path) -> str:
    """The text of a style sheet that uses the tokens of ``tokens.css``, and the tokens."""
    return _TOKENS.read_text(encoding="utf-8") + sheet.read_text(encoding="utf-8")
