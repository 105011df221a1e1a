"""Golden files: the exact text that people see. ``P2PLAB_GOLDEN=write pytest`` writes them anew, to be read in the diff."""

import os
from pathlib import Path

HERE = Path(__file__).parent


def golden(name: str, text: str) -> None:
    """Assert that ``text`` is what the golden file of that name says."""
    file = HERE / name
    if os.environ.get("P2PLAB_GOLDEN") == "write":
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8"), (
        f"{name} differs; if that is right, write it anew and read the diff"
    )
