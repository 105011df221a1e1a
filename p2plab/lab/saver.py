"""Hands a file to the browser, which saves it where it saves downloads."""

from __future__ import annotations

import anywidget


class Saver(anywidget.AnyWidget):  # type: ignore[misc]
    """An invisible widget: :meth:`save` makes every page that shows it download a file."""

    _esm = """
    function render({ model }) {
      const receive = (message, buffers) => {
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

    def save(self, name: str, text: str, type: str = "text/plain") -> None:
        """Let the browser save ``text`` under ``name``."""
        self.send({"kind": "file", "name": name, "type": f"{type};charset=utf-8"}, [text.encode()])
