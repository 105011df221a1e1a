"""A page with nothing on it but the stage's module and style: ``savedPage`` is there for a test to call."""

from __future__ import annotations

from pathlib import Path

from p2plab.views.stage.files import stage_script, stage_style


def stage_alone(folder: Path) -> Path:
    """The file of that page."""
    file = folder / "stage-alone.html"
    # Room for a scrollbar from the beginning: what is measured at once must not change its width a frame later.
    style = "html { overflow-y: scroll } body { margin: 0 }" + stage_style()
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><style>{style}</style>'
    script = (
        f'<script type="module">{stage_script()}\nObject.assign(window, {{ savedPage, renderStage: render }});</script>'
    )
    file.write_text(f'<!DOCTYPE html><html lang="en">{head}<body></body>{script}</html>', encoding="utf-8")
    return file
