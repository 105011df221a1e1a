"""One guard for every widget callback: an error is shown in the page, with its traceback one click away.

ipywidgets hides exceptions of callbacks: in JupyterLab they only reach the log console, in Voila not even that.
"""

from __future__ import annotations

import html
import traceback
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from p2plab.core.errors import P2PError


class Guard:
    """``guard(handler)`` is a handler that cannot fail silently. ``strip`` is where errors show; ``last`` the newest."""

    def __init__(self) -> None:
        self.last: BaseException | None = None
        self.strip = widgets.HTML()

    def __call__(self, handler: Callable[..., Any]) -> Callable[..., None]:
        """Wrap a handler. What it raises is shown until the next success."""

        def guarded(*arguments: Any) -> None:
            try:
                handler(*arguments)
            except Exception as error:  # noqa: BLE001  whatever it is, the person at the screen has to see it
                self.show(error)
            else:
                self.clear()

        return guarded

    def show(self, error: BaseException) -> None:
        """Put an error into the page: p2plab's own as a sentence, any other with its type."""
        self.last = error
        # A refusal is complete with its sentence; anything else is a bug, and its place matters.
        refusal = isinstance(error, P2PError)
        said = str(error) if refusal else f"{type(error).__name__}: {error}"
        trace = "" if refusal else html.escape("".join(traceback.format_exception(error)))
        where = f"<details><summary>Where it happened</summary><pre>{trace}</pre></details>" if trace else ""
        self.strip.value = (
            f'<div role="alert" class="p2plab-alert"><b>That did not work.</b> {html.escape(said)}{where}</div>'
        )

    def clear(self) -> None:
        """Clear the message."""
        if self.last is not None:
            self.last = None
            self.strip.value = ""
