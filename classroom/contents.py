"""Notebooks from elsewhere are shown without the widgets that were saved in them.

The state of an anywidget is JavaScript, and JupyterLab loads the widgets saved in a notebook as soon as it is opened, also
of a notebook that nobody trusts yet: in the page of the student's own server, which may do all that the student may. Cells
that are run make their widgets anew, so that nothing is lost but the risk.
"""

from __future__ import annotations

from typing import Any

from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager


class NoSavedWidgets(AsyncLargeFileManager):
    """The usual manager of files, less the widgets of notebooks that this student neither wrote nor trusted."""

    def mark_trusted_cells(self, nb: Any, path: str = "") -> None:
        """Called for each notebook before it goes to the page."""
        super().mark_trusted_cells(nb, path)
        if not self.notary.check_signature(nb):
            nb["metadata"].pop("widgets", None)
