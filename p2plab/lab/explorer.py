"""What every explorer of this room shares: one guard, controls that follow the state, and words where no kernel runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as widgets

from p2plab.lab.guard import Guard
from p2plab.views.styles import styled

#: A description as narrow as its words.
SNUG: dict[str, Any] = {"style": {"description_width": "initial"}}


class Explorer:
    """Base of an explorer: a subclass lays itself out, and shows its state in :meth:`refresh_all` and :meth:`as_text`."""

    def __init__(self) -> None:
        self.guard = Guard()
        self.box = widgets.VBox()
        self.box.add_class("p2plab-lab")
        self._looks = Looks()
        self._updating = False

    def lay_out(self, *children: widgets.Widget) -> None:
        """Everything that the explorer shows, from top to bottom."""
        self.box.children = (self._looks, *children)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The widget; and where no kernel runs (a saved notebook, a page on the web) the same as plain text."""
        bundle = self.box._repr_mimebundle_(**options)
        bundle["text/plain"] = self.as_text()
        return bundle

    def as_text(self) -> str:
        """All that is shown, as plain text."""
        raise NotImplementedError

    def refresh_all(self) -> None:
        """Set every view and control to the current state."""
        raise NotImplementedError

    def refresh(self) -> None:
        """Show the current state, ignoring the changes of controls that this causes."""
        self._updating = True
        try:
            self.refresh_all()
        finally:
            self._updating = False

    def handler(self, handle: Any) -> Any:
        """A widget callback: guarded, ignored while the explorer itself sets controls, and followed by a refresh."""

        def act(*arguments: Any) -> None:
            if self._updating:
                return
            try:
                handle(*arguments)
            finally:
                self.refresh()  # also after a refusal: the controls must show the current state

        return self.guard(act)

    def button(self, label: str, help: str, press: Any, icon: str = "") -> widgets.Button:
        """A button that calls ``press()``."""
        made = widgets.Button(description=label, tooltip=help, icon=icon, layout={"width": "auto"})
        made.on_click(self.handler(lambda _button: press()))
        return made

    def choice(self, label: str, options: Any, value: Any, chosen: Any, width: str = "220px") -> widgets.Dropdown:
        """A dropdown that calls ``chosen(value)``."""
        made = widgets.Dropdown(options=options, value=value, description=label, layout={"width": width}, **SNUG)
        made.observe(self.handler(lambda change: chosen(change["new"])), "value")
        return made


def row(*controls: widgets.Widget) -> widgets.HBox:
    """Controls side by side, wrapping where the page is narrow."""
    return widgets.HBox(list(controls), layout={"flex_flow": "row wrap", "align_items": "center"})


class Looks(anywidget.AnyWidget):
    """An invisible widget: where it is shown, pane.css holds."""

    _esm = "export default { render() {} };"
    _css = styled(Path(__file__).parent / "pane.css")
