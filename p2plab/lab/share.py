"""Sharing a run: its token to copy, a token to open, files to save, and the last run to resume."""

from __future__ import annotations

from html import escape

import anywidget
import ipywidgets as widgets

from p2plab.core.errors import BadInput
from p2plab.core.token import token_of
from p2plab.lab.explorer import SNUG, Explorer, row
from p2plab.lab.journal import Journal
from p2plab.lab.session import Session
from p2plab.views.formats import FORMATS


class Share:
    """The part of a lab below its pictures. ``frame`` guards its buttons."""

    def __init__(self, frame: Explorer, session: Session) -> None:
        self.session = session
        self.journal = Journal(session.run.scenario.name)
        self.token = widgets.HTML()
        self.paste = widgets.Text(
            description="token", placeholder="paste it here: p2p1.…", layout={"width": "420px"}, **SNUG
        )
        self.paste.tooltip = "a token of any scene's run"
        self.opener = frame.button("open token", "show the run of a token", lambda: session.open(self.paste.value))
        self.saver = Saver()
        copied = lambda: self.saver.copy(token_of(session.run))  # noqa: E731
        self.copier = frame.button("copy token", "this run, in one line of text, to the clipboard", copied, "copy")
        self.save = {
            name: frame.button(name, kind.help, lambda name=name: self.save_as(name)) for name, kind in FORMATS.items()
        }
        self.left = self.journal.last()
        self.resume = frame.button("resume the last run", "as it was when it was last changed", self._resume, "history")
        self.trouble = widgets.HTML()
        words = widgets.Label("save as")
        self.box = widgets.VBox(
            [
                self.token,
                row(self.copier, self.paste, self.opener, self.resume),
                row(words, *self.save.values(), self.saver),
                self.trouble,
            ]
        )

    def save_as(self, name: str) -> None:
        """Let the browser save the run in one of the formats."""
        kind = FORMATS[name]
        self.saver.save(
            f"{self.session.run.scenario.name}.{kind.ending}", kind.write(self.session.run), kind.media_type
        )

    def refresh(self) -> None:
        """Show the token, and write it to the journal; a journal that cannot be written is reported, no more."""
        own = ", ".join(made.__name__ for made in self.session.run.scenario.cast.values())
        self.copier.disabled = bool(own)
        if own:
            self.token.value = (
                f'<div data-view="token">This run has no token: a token carries no driver, and {escape(own)} is your own. '
                "Save it as a test, a text or a page instead.</div>"
            )
            self.resume.layout.display = "none"
            return
        token = token_of(self.session.run)
        self.token.value = (
            f'<div>Token of this run: <span class="p2plab-token" data-view="token">{escape(token)}</span></div>'
        )
        self.resume.layout.display = "" if self.left and self.left != token else "none"
        if not self.session.touched:
            return
        try:
            self.journal.keep(token)
            self.trouble.value = ""
        except OSError as error:
            said = escape(f"{error.strerror}: {error.filename}")
            self.trouble.value = f'<div role="alert">This run is not kept for later: {said}. Copy its token.</div>'

    def _resume(self) -> None:
        if not self.left:
            raise BadInput("there is no earlier run of this lab")
        self.session.open(self.left)
        self.left = ""


class Saver(anywidget.AnyWidget):
    """An invisible widget: :meth:`save` makes every page that shows it download a file."""

    _esm = """
    function render({ model }) {
      const receive = (message, buffers) => {
        if (message.kind === "copy") {
          navigator.clipboard?.writeText(message.text); // without a clipboard (plain http) the text can still be selected
          return;
        }
        if (message.kind !== "file") return;
        const link = document.createElement("a");
        link.href = URL.createObjectURL(new Blob([buffers[0]], { type: message.type }));
        link.download = message.name;
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 10000);
      };
      model.on("msg:custom", receive);
      return () => model.off("msg:custom", receive);
    }
    export default { render };
    """

    def copy(self, text: str) -> None:
        """Put ``text`` on the reader's clipboard, where the browser allows it."""
        self.send({"kind": "copy", "text": text})

    def save(self, name: str, text: str, type: str = "text/plain") -> None:
        """Let the browser save ``text`` under ``name``."""
        self.send({"kind": "file", "name": name, "type": f"{type};charset=utf-8"}, [text.encode()])
