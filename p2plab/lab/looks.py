"""The project's styles for explorers that show no picture, which would bring them along."""

from __future__ import annotations

from pathlib import Path

import anywidget

from p2plab.views.styles import styled


class Looks(anywidget.AnyWidget):
    """An invisible widget: where it is shown, pane.css holds."""

    _esm = "export default { render() {} };"
    _css = styled(Path(__file__).parent / "pane.css")
