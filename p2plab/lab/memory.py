"""Which notifiers a memory operation calls: pick an operation and a kind of memory, see before, after, and every call."""

from __future__ import annotations

from html import escape

import ipywidgets as widgets

from p2plab.lab.explorer import Explorer, row
from p2plab.lab.pane import BokehPane
from p2plab.mm.ask import ask
from p2plab.mm.ask_operations import OPERATIONS
from p2plab.mm.ask_specimen import KINDS
from p2plab.mm.kernel import KERNELS, TODAY
from p2plab.views.before_and_after import before_and_after, before_and_after_figure
from p2plab.views.mm_text import before_and_after as before_and_after_text
from p2plab.views.mm_text import locks_text, pages_text, table


class MemoryLab(Explorer):
    """``MemoryLab("munmap", "device")``; each answer is a run of the model, not a line of a table."""

    def __init__(self, operation: str = "munmap", kind: str = "device", kernel: str = TODAY.name) -> None:
        """BadInput for an unknown operation or kind of memory."""
        super().__init__()
        self.asked = (operation, kind, kernel)
        self.answer = ask(operation, kind, KERNELS[kernel])
        self.operation = self.choice("operation", list(OPERATIONS), operation, lambda v: self._ask(0, v), "320px")
        self.kind = self.choice("memory", list(KINDS), kind, lambda v: self._ask(1, v))
        self.kernel = self.choice("Linux", list(KERNELS), kernel, lambda v: self._ask(2, v), "160px")
        self.pane = BokehPane("before-after", before_and_after_figure(self.answer), before_and_after(self.answer))
        self._shown = self.answer
        self.sentence, self.rows, self.text = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.lay_out(
            row(self.operation, self.kind, self.kernel),
            self.sentence,
            self.guard.strip,
            self.pane,
            self.rows,
            self.text,
        )
        self.refresh()

    def as_text(self) -> str:
        """Table and strips, as text."""
        return f"{table([self.answer])}\n{before_and_after_text(self.answer)}"

    def refresh_all(self) -> None:
        """Show the answer."""
        self.operation.value, self.kind.value, self.kernel.value = self.asked
        if self.answer is not self._shown:
            self.pane.show(before_and_after(self.answer), before_and_after_figure(self.answer))
            self._shown = self.answer
        told = f"{len(self.answer.rows)} notifier calls" if len(self.answer.rows) != 1 else "one notifier call"
        told = told if self.answer.rows else "no listener is called"
        self.sentence.value = (
            f'<p class="p2plab-sentence" data-view="asked" role="status"><b>{escape(self.answer.operation)}</b>: '
            f"{escape(self.answer.what)}. <b>Returned {escape(self.answer.returned)}; {told}.</b></p>"
        )
        self.rows.value = self._table()
        self.text.value = (
            f"<details><summary>The same as text</summary>"
            f'<pre class="p2plab-text" data-view="text">{escape(self.as_text())}</pre></details>'
        )

    def _ask(self, which: int, value: str) -> None:
        asked = list(self.asked)
        asked[which] = value
        operation, kind, kernel = asked
        self.answer = ask(operation, kind, KERNELS[kernel])
        self.asked = (operation, kind, kernel)

    def _table(self) -> str:
        answer = self.answer
        lines = "".join(
            f"<tr><td>{number}</td><td>{escape(row.event)}</td><td>{escape(pages_text(row))}</td>"
            f"<td>{escape(locks_text(row))}</td><td>{'yes' if row.blockable else 'no'}</td>"
            f"<td>{escape(', '.join(row.heard_by))}</td></tr>"
            for number, row in enumerate(answer.rows, 1)
        )
        head = (
            "<tr><th>call</th><th>event</th><th>pages</th><th>locks held</th><th>may block</th><th>heard by</th></tr>"
        )
        none = '<tr><td colspan="6">none: no listener is called</td></tr>'
        return (
            f'<table class="p2plab-board" data-view="calls">{head}{lines or none}</table>'
            f"<p>Source: <code>{escape(answer.source)}</code></p>"
        )
