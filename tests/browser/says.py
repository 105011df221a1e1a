"""A notebook as its reader has it: the sentences that say what will be seen, and a browser in which to do what they ask for."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.browser.conftest import Server
from tests.browser.notebook import open_notebook, run_all
from tests.browser.take_notebooks import EVERY_CELL
from tests.course.glossary import LINK

WRITE_AND_RUN = """async ([code, source]) => {
    const notebook = jupyterapp.shell.currentWidget.content;
    const written = cell => cell.model.type === "code" && cell.model.sharedModel.getSource().includes(code);
    notebook.activeCellIndex = notebook.widgets.findIndex(written);
    notebook.deselectAll();
    if (source) notebook.activeCell.model.sharedModel.setSource(source);
    await jupyterapp.commands.execute('notebook:run-cell');
}"""
RUNNING = """() => [...document.querySelectorAll('.jp-InputPrompt')].some(made => made.textContent.includes('*'))"""


class Book:
    """A notebook of the course, open at 1280 by 720, with every cell run."""

    def __init__(self, page: Any, server: Server, name: str) -> None:
        page.set_viewport_size({"width": 1280, "height": 720})
        page.set_default_timeout(60_000)
        cells = json.loads((server.folder / name).read_text(encoding="utf-8"))["cells"]
        texts = ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        self.text = LINK.sub(r"\1", " ".join("\n".join(texts).split()))
        open_notebook(page, server, name, copy_as=f"says-{name}")
        page.evaluate(EVERY_CELL)
        run_all(page)
        page.wait_for_function(f"() => !({RUNNING})()")
        self.page = page

    def says(self, *sentences: str) -> None:
        """These words are in the notebook, so a text that changes turns its test red. Line breaks do not matter."""
        for sentence in sentences:
            assert " ".join(sentence.split()) in self.text, sentence

    def output(self, code: str) -> str:
        """What the cell whose code begins like this shows below it, once it has run."""
        self.page.wait_for_function(f"() => !({RUNNING})()")
        cell = self.page.locator(".jp-CodeCell", has=self.page.locator(".jp-InputArea", has_text=code)).first
        return str(cell.locator(".jp-OutputArea").first.inner_text())

    def write_and_run(self, code: str, source: str = "") -> None:
        """Put this into the cell whose code begins like that, if there is something to put, and run it."""
        self.page.evaluate(WRITE_AND_RUN, [code, source])

    def explorer(self, number: int = 0) -> Shown:
        """One of its explorers, counted from the top."""
        return Shown(self.page, number)


class Shown:
    """One explorer of a notebook."""

    def __init__(self, page: Any, number: int) -> None:
        self.page = page
        self.box = page.locator(".jp-CodeCell .jp-OutputArea-output > .p2plab-lab").nth(number)
        self.box.wait_for()
        self.box.scroll_into_view_if_needed()

    def stage(self, number: int = 0) -> Any:
        """One of its stages, once it is drawn."""
        stage = self.box.locator(".stage").nth(number)
        stage.locator(".said").wait_for()
        return stage

    def _drawn(self) -> list[str]:
        return list(self.box.locator(".stage").evaluate_all("all => all.map(one => one.dataset.seq ?? '')"))

    def _then(self, act: Any) -> None:
        """Act, and wait until each stage was drawn again."""
        before = self._drawn()
        act()
        for number, seq in enumerate(before):
            self.stage(number).evaluate(
                """(stage, seq) => new Promise((done, fail) => {
                    const until = Date.now() + 15000;
                    const look = () => {
                        if (stage.dataset.seq !== seq) done();
                        else if (Date.now() > until) fail(Error("the stage was not drawn again"));
                        else setTimeout(look, 20);
                    };
                    look();
                })""",
                seq,
            )

    def button(self, name: str) -> Any:
        """A visible button with these words."""
        return self.box.locator("button:visible", has_text=re.compile(rf"^\s*{re.escape(name)}( ▶)?\s*$")).first

    def press(self, *names: str) -> None:
        """Press buttons, one after the other, each when the stages show what the one before led to."""
        for name in names:
            self._then(self.button(name).click)

    def choose(self, value: str) -> None:
        """Choose a driver in the stage's bar."""
        if self.button(value).count():
            self.press(value)
        else:
            self._then(lambda: self.box.locator(".stage .pick").first.select_option(value))

    def select(self, label: str, value: str) -> None:
        """Choose a value in a control that has a label."""
        control = self.box.locator(".widget-dropdown", has=self.page.get_by_text(label, exact=True)).first
        control.locator("select").select_option(label=value)

    def open_part(self, name: str) -> None:
        """A part of the drawer, under *more*."""
        if "open" not in str(self.box.get_attribute("class")).split():
            self.box.locator(".more").click()
        self.box.locator(".lm-TabBar-tab", has_text=re.compile(f"^{name}$")).click()

    def look(self, step: int) -> None:
        """Drag the slider below the timeline."""
        slider = self.stage().locator("input[type=range]")
        self._then(
            lambda: slider.evaluate(
                "(slider, step) => { slider.value = step; slider.dispatchEvent(new Event('input')); }", step
            )
        )

    def said(self, number: int = 0) -> str:
        """The sentence of a stage."""
        return str(self.stage(number).locator(".said").inner_text())

    def broken(self, number: int = 0) -> list[str]:
        """The promises that a stage says are broken."""
        return list(self.stage(number).locator(".chips .broken b").all_inner_texts())

    def now(self, actor: str) -> str:
        """What an actor does next, or waits for."""
        return str(
            self.stage().locator(".now li", has=self.page.locator("b", has_text=re.compile(rf"^{actor}$"))).inner_text()
        )

    def cells(self, kind: str, number: int = 0) -> list[str]:
        """What the cells of a row (``slot``, ``frame``, ``page`` …) say when they are asked."""
        return list(
            self.stage(number)
            .locator(f".cell[data-k*='{kind}']")
            .evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")
        )

    def view(self, name: str) -> str:
        """The text of one of its parts."""
        return str(self.box.locator(f"[data-view='{name}']").first.inner_text())

    def until(self, name: str, words: str) -> None:
        """Wait until a part says this."""
        self.box.locator(f"[data-view='{name}']", has_text=words).first.wait_for()
