"""A page with nothing on it but the stage's module and style: ``savedPage`` is there for a test to call."""

from __future__ import annotations

from pathlib import Path

import p2plab.views
from p2plab.views.styles import styled

STAGE = Path(p2plab.views.__file__).parent / "stage"


def stage_alone(folder: Path) -> Path:
    """The file of that page."""
    file = folder / "stage-alone.html"
    module = (STAGE / "stage.js").read_text(encoding="utf-8")
    # Room for a scrollbar from the beginning: what is measured at once must not change its width a frame later.
    style = "html { overflow-y: scroll } body { margin: 0 }" + styled(STAGE / "stage.css")
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><style>{style}</style>'
    script = f'<script type="module">{module}\nwindow.savedPage = savedPage;</script>'
    file.write_text(f'<!DOCTYPE html><html lang="en">{head}<body></body>{script}</html>', encoding="utf-8")
    return file
