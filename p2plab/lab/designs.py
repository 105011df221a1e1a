"""What the kernel did instead, as a table whose cells open the runs behind them."""

from __future__ import annotations

import re
from html import escape

import ipywidgets as widgets

from p2plab.core.errors import BadInput
from p2plab.core.kernels import NAMES
from p2plab.designs import DESIGNS
from p2plab.designs.matrix import QUESTIONS, Cell, Change, changes, matrix
from p2plab.designs.runs import settings_of
from p2plab.lab.compare import CompareLab
from p2plab.lab.explorer import Explorer, row
from p2plab.lab.lab import Lab
from p2plab.views.designs_text import matrix_text

#: Marks the chosen cell, for eyes and for a screen reader.
CHOSEN = ' class="chosen kept" aria-current="true"'


NEWEST, NO_CHANGE = "each design's newest", "no change"


class DesignsLab(Explorer):
    """``DesignsLab()``: design × question. Choose a cell and open its run; a cell answered by a source alone says so.

    ``kernel`` shows the answers of one kernel; a **change** between two kernels opens both runs, one above the other.
    """

    def __init__(self, question: str = "learns of a move by", design: str = "rfc-vma", kernel: str = "") -> None:
        """BadInput for an unknown question, design or kernel."""
        super().__init__()
        for name, known in ((question, QUESTIONS), (design, DESIGNS)):
            if name not in known:
                raise BadInput(f"{name[:40]!r} is not one of {', '.join(known)}")
        self.kernel = kernel
        self.cells = matrix(kernel)
        self.changes = {change.name: change for change in changes()}
        self.change: Change | None = None
        self.chosen = (question, design)
        self.question = self.choice(
            "question", list(QUESTIONS), question, lambda v: self._choose(v, self.chosen[1]), "320px"
        )
        self.design = self.choice("design", list(DESIGNS), design, lambda v: self._choose(self.chosen[0], v))
        self.of = self.choice("kernel", [NEWEST, *reversed(NAMES)], kernel or NEWEST, self._choose_kernel, "240px")
        self.changed = self.choice("change", [NO_CHANGE, *self.changes], NO_CHANGE, self._choose_change, "560px")
        self.opener = self.button("open its run", "step through the run that gave this answer", self._open)
        self.table, self.words = widgets.HTML(), widgets.HTML()
        self.place = widgets.VBox()
        self.lab: Lab | CompareLab | None = None
        controls = widgets.VBox([row(self.question, self.design, self.of), row(self.changed, self.opener)])
        self.lay_out(controls, self.guard.strip, self.words, self.table, self.place)
        self.refresh()

    @property
    def cell(self) -> Cell:
        """The chosen cell."""
        question, design = self.chosen
        return next(cell for cell in self.cells[question] if cell.design == design)

    def as_text(self) -> str:
        """The whole matrix as text."""
        return "\n".join(matrix_text(self.cells, self.kernel)) + "\n"

    def refresh_all(self) -> None:
        """Show the table with the chosen cell marked, and the details of that cell or of the chosen change."""
        self.question.value, self.design.value = self.chosen
        shown = (self.change.before, self.change.after) if self.change else (self.cell,)
        self.opener.disabled = not all(cell.tokens for cell in shown)
        self.table.value = self._table()
        self.words.value = "".join(map(_words, shown))

    def _choose(self, question: str, design: str) -> None:
        if (question, design) != self.chosen:
            self.chosen = (question, design)
            self._no_change()

    def _choose_kernel(self, kernel: str) -> None:
        self.kernel = "" if kernel == NEWEST else kernel
        self.cells = matrix(self.kernel)
        self._no_change()

    def _choose_change(self, name: str) -> None:
        self.change = self.changes.get(name)
        if self.change is not None:
            self.chosen = (self.change.after.question, self.change.after.design)

    def _no_change(self) -> None:
        self.change = None
        self.changed.value = NO_CHANGE

    def _open(self) -> None:
        if self.change is not None:
            self.lab = CompareLab(*(self._scene(cell) for cell in (self.change.before, self.change.after)))
        elif self.cell.tokens:
            self.lab = Lab(f"design-{self.cell.design}", token=self.cell.tokens[0])
        else:
            raise BadInput("the answer comes from the source; no run gives it")
        self.place.children = (self.lab.box,)

    @staticmethod
    def _scene(cell: Cell) -> tuple[str, dict[str, str]]:
        if not cell.tokens:
            raise BadInput(f"the answer for {cell.kernel} comes from the source; no run gives it")
        return f"design-{cell.design}", settings_of(cell.design, cell.runs[-1], cell.kernel)

    def _table(self) -> str:
        here = {design: ' class="kept"' if design == self.chosen[1] else "" for design in DESIGNS}
        head = "".join(f'<th scope="col"{here[design]}>{escape(design)}</th>' for design in DESIGNS)
        lines = []
        for question, cells in self.cells.items():
            boxes = "".join(
                f"<td{CHOSEN if (question, cell.design) == self.chosen else here[cell.design]}>"
                f"{_errnos(escape(cell.answer))}{'' if cell.tokens or cell.absent else ' <i>(source)</i>'}</td>"
                for cell in cells
            )
            lines.append(f'<tr><th scope="row">{escape(question)}</th>{boxes}</tr>')
        return (
            f'<div class="p2plab-wide" role="region" tabindex="0" aria-label="Designs compared, question by question">'
            f'<table class="p2plab-board p2plab-matrix" data-view="matrix">'
            f"<tr><td></td>{head}</tr>"
            f"{''.join(lines)}</table></div>"
        )


def _words(cell: Cell) -> str:
    decided = f"decided by {', '.join(cell.runs)}" if cell.tokens else "only a source can answer"
    corrected = f"<br>{escape(cell.corrected)}" if cell.corrected else ""
    said = "" if cell.absent else f" ({escape(decided)})"
    return (
        f'<div data-view="cell"><b>{escape(cell.question)}</b>, {escape(cell.design)}, Linux {escape(cell.kernel)}: '
        f"{escape(cell.answer)}{said}"
        f"<br>Sources: {escape(cell.table)}; <code>{escape(cell.source)}</code>{corrected}</div>"
    )


def _errnos(answer: str) -> str:
    """An errno and its minus stay in one line."""
    return re.sub(r"-E[A-Z]+", r'<span class="p2plab-errno">\g<0></span>', answer)
