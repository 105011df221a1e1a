"""What the kernel did instead, as a table whose cells open the runs behind them."""

from __future__ import annotations

import re
from html import escape

import ipywidgets as widgets

from p2plab.core.errors import BadInput
from p2plab.designs import DESIGNS
from p2plab.designs.matrix import QUESTIONS, Cell, matrix
from p2plab.lab.explorer import Explorer, row
from p2plab.lab.lab import Lab
from p2plab.views.designs_text import matrix_text

#: Marks the cell that the controls speak of, for eyes and for a screen reader.
CHOSEN = ' class="chosen" aria-current="true"'


class DesignsLab(Explorer):
    """``DesignsLab()``: design × question. Choose a cell and open its run; a cell that only a source answers says so."""

    def __init__(self, question: str = "learns of a move by", design: str = "rfc-vma") -> None:
        """BadInput for an unknown question or design."""
        super().__init__()
        for name, known in ((question, QUESTIONS), (design, DESIGNS)):
            if name not in known:
                raise BadInput(f"{name[:40]!r} is not one of {', '.join(known)}")
        self.cells = matrix()
        self.chosen = (question, design)
        self.question = self.choice(
            "question", list(QUESTIONS), question, lambda v: self._choose(v, self.chosen[1]), "320px"
        )
        self.design = self.choice("design", list(DESIGNS), design, lambda v: self._choose(self.chosen[0], v))
        self.opener = self.button("open its run", "step through the run that gave this answer", self._open)
        self.table, self.words = widgets.HTML(), widgets.HTML()
        self.place = widgets.VBox()
        self.lab: Lab | None = None
        controls = row(self.question, self.design, self.opener)
        self.lay_out(controls, self.guard.strip, self.words, self.table, self.place)
        self.refresh()

    @property
    def cell(self) -> Cell:
        """The chosen cell."""
        question, design = self.chosen
        return next(cell for cell in self.cells[question] if cell.design == design)

    def as_text(self) -> str:
        """The whole matrix as text."""
        text = matrix_text(self.cells)
        return text if isinstance(text, str) else "\n".join(text) + "\n"

    def refresh_all(self) -> None:
        """Show the table with the chosen cell marked, and what is known of it."""
        self.question.value, self.design.value = self.chosen
        cell = self.cell
        self.opener.disabled = not cell.tokens
        self.table.value = self._table()
        decided = f"decided by {', '.join(cell.runs)}" if cell.tokens else "only a source can answer"
        corrected = f"<br>{escape(cell.corrected)}" if cell.corrected else ""
        self.words.value = (
            f'<div data-view="cell"><b>{escape(cell.question)}</b>, {escape(cell.design)}: {escape(cell.answer)} '
            f"({escape(decided)})<br>Sources: {escape(cell.table)}; <code>{escape(cell.source)}</code>{corrected}</div>"
        )

    def _choose(self, question: str, design: str) -> None:
        self.chosen = (question, design)

    def _open(self) -> None:
        if not self.cell.tokens:
            raise BadInput("no run answers this: the source does")
        self.lab = Lab(f"design-{self.cell.design}", token=self.cell.tokens[0])
        self.place.children = (self.lab.box,)

    def _table(self) -> str:
        head = "".join(f'<th scope="col">{escape(design)}</th>' for design in DESIGNS)
        lines = []
        for question, cells in self.cells.items():
            boxes = "".join(
                f"<td{CHOSEN if (question, cell.design) == self.chosen else ''}>"
                f"{_errnos(escape(cell.answer))}{'' if cell.tokens else ' <i>(source)</i>'}</td>"
                for cell in cells
            )
            lines.append(f'<tr><th scope="row">{escape(question)}</th>{boxes}</tr>')
        return (
            f'<div style="overflow-x:auto"><table class="p2plab-board p2plab-matrix" data-view="matrix">'
            f"<tr><td></td>{head}</tr>"
            f"{''.join(lines)}</table></div>"
        )


def _errnos(answer: str) -> str:
    """An errno and its minus stay in one line."""
    return re.sub(r"-E[A-Z]+", r'<span class="p2plab-errno">\g<0></span>', answer)
