"""Hands a file or a line of text to the browser: to save where it saves downloads, or for the clipboard."""

from __future__ import annotations

import anywidget


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
