"""Two to four runs that step together: at the same step, or at the same line of the step list that all designs share.

One above the other, so that slots stay in line and addresses keep their room; what differs from the first is marked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets

from p2plab.core.errors import BadInput, NotEnabled
from p2plab.designs.lines import lines_of
from p2plab.lab.explorer import SNUG, Explorer, row
from p2plab.lab.session import DRIVER, Session
from p2plab.lab.stage import StagePane
from p2plab.views.stage.press import said_of_press
from p2plab.views.text import story

#: More runs than this cannot be read side by side.
MOST = 4

#: A dropdown cannot hold None.
NO_LINE = ("no line", -1)


class Side:
    """One of them: a session, its stage, and what it says."""

    def __init__(self, frame: CompareLab, scene: str, knobs: Mapping[str, object]) -> None:
        self.session = Session(scene, knobs)
        self.frame = frame
        self.stage = StagePane(frame.handler(self.heard), bare=True)
        self.said = ""

    @property
    def title(self) -> str:
        """What distinguishes it from the others: its scene, or the importer and exporter, where they differ."""
        runs = [side.session.run for side in self.frame.sides]
        mine = self.session.run
        scene = [mine.scenario.name] if len({run.scenario.name for run in runs}) > 1 else []
        knobs = [
            f"{name}={value}"
            for name, value in mine.settings.items()
            if name in ("importer", "exporter") and len({str(run.settings.get(name)) for run in runs}) > 1
        ]
        return " · ".join([*scene, *knobs]) or mine.scenario.name

    def heard(self, message: Mapping[str, Any]) -> None:
        """What a person did on this stage: a step is looked at on all; a block opens here. BadInput for anything else."""
        if isinstance(step := message.get("look"), int):
            self.frame.look_at(step)
        elif "unfold" in message:
            self.stage.unfold(str(message["unfold"]))
        else:
            raise BadInput(f"a comparison does not know what {', '.join(map(str, message))[:60] or 'nothing'} is")

    def seen(self) -> dict[str, object]:
        """What its cells say, by their keys."""
        made = self.stage.json_of(self.session.run, self.session.step)
        cells = [*made["slots"], *made["frames"], *(made["ram"] or ())]
        cells += [cell for group in made["groups"] for cell in (*group["cells"], *group.get("mmu", ())) if cell]
        return {cell["k"]: (cell["c"], cell["l"]) for cell in cells}

    def refresh(self, others: Mapping[str, object]) -> None:
        """Show the session as it is, what differs from ``others``, and what it refused, if it did."""
        run, step = self.session.run, self.session.step
        mine = self.seen()
        differs = {key for key in mine.keys() | others.keys() if mine.get(key) != others.get(key)}
        self.stage.options = {**self.stage.options, "title": self.title, "refused": self.said}
        at = self.session.pressed_at
        self.stage.show(run, step, differs=differs, said=None if at is None else said_of_press(run, at))


class CompareLab(Explorer):
    """``CompareLab("workbench")``: obedient beside ignorant. ``CompareLab("design-rfc-vma", "design-vfio-dma-buf")``: scenes.

    Every press goes to all; a run that cannot do it says why, and the others go on. A scene with other knobs is a pair
    ``("workbench", {"importer": "obedient"})``.
    """

    def __init__(self, *scenes: str | tuple[str, Mapping[str, object]]) -> None:
        """BadInput for an unknown scene or knob, and for more than four."""
        super().__init__()
        if len(scenes) > MOST:
            raise BadInput(f"{len(scenes)} runs side by side cannot be read; at most {MOST}")
        if len(scenes) < 2:
            name = scenes[0] if scenes and isinstance(scenes[0], str) else "workbench"
            scenes = ((name, {"importer": "obedient"}), (name, {"importer": "ignorant"}))
        pairs = [(scene, {}) if isinstance(scene, str) else scene for scene in scenes]
        self._line = NO_LINE[1]
        self.sides = tuple(Side(self, name, knobs) for name, knobs in pairs)
        actions = {name: a for side in self.sides for name, a in side.session.run.world.actions.items()}
        self.buttons = {
            name: self.button(
                action.label, action.help, lambda name=name: self.everywhere(lambda s: s.press(name, DRIVER))
            )
            for name, action in actions.items()
        }
        self.line = self.choice("line of the list", [NO_LINE], NO_LINE[1], self.look_at_line, "280px")
        self.back = self.button("back", "all look at the step before", lambda: self.look_at(self._step() - 1))
        self.forward = self.button("step", "one step of each", lambda: self.everywhere(lambda s: s.take()))
        self.rest = self.button(
            "run on", "each until nobody can go on", lambda: self.everywhere(lambda s: s.run_to_rest())
        )
        self.slider = widgets.IntSlider(description="step", min=0, max=1, layout={"width": "420px"}, **SNUG)
        self.slider.observe(self.handler(lambda change: self.look_at(change["new"])), "value")
        self.lay_out(
            row(*self.buttons.values()),
            row(self.back, self.forward, self.rest, self.slider, self.line),
            self.guard.strip,
            *(side.stage for side in self.sides),
        )
        self.refresh()

    def as_text(self) -> str:
        """All runs, one after another."""
        return "\n".join(story(side.session.run) for side in self.sides)

    def everywhere(self, do: object) -> None:
        """The same to all; a refusal is shown beside its run. NotEnabled only if all refuse."""
        assert callable(do)
        for side in self.sides:
            side.said = ""
            try:
                do(side.session)
            except NotEnabled as refused:
                side.said = str(refused)
        if all(side.said for side in self.sides):
            raise NotEnabled(self.sides[0].said)

    def look_at_line(self, number: int) -> None:
        """Each at the end of the same line of the step list; one that never got there is at its last step."""
        self._line = number
        for side in self.sides:
            lines = lines_of(side.session.run.log)
            what = self._lines()[number] if number >= 0 else ""
            mine = [line for line in lines if line.what == what]
            side.said = f"{what}: {mine[0].outcome}" if mine else f"{what}: never begun" if what else ""
            last = mine[0].last if mine else None
            side.session.look_at(last if last is not None else len(side.session.run))

    def look_at(self, step: int) -> None:
        """All at the same step, or at their last."""
        for side in self.sides:
            side.said = ""
            side.session.look_at(step)
        self._line = NO_LINE[1]

    def refresh_all(self) -> None:
        """Show all as they are."""
        first, second = self.sides[0].seen(), self.sides[1].seen()
        for side in self.sides:
            side.refresh(second if side is self.sides[0] else first)
        lines = self._lines()
        self.line.layout.display = "" if lines else "none"
        self.line.options = [NO_LINE, *((what, number) for number, what in enumerate(lines))]
        self.line.value = self._line if self._line < len(lines) else NO_LINE[1]
        self.slider.max = max(1, *(len(side.session.run) for side in self.sides))
        self.slider.value = self._step()
        for name, button in self.buttons.items():
            button.disabled = all(side.session.why_not(f"!{name}") for side in self.sides)
        idle = not any(side.session.enabled() for side in self.sides)
        self.forward.disabled = self.rest.disabled = idle

    def _lines(self) -> list[str]:
        """The lines of the step list that any of the runs reached, in their order."""
        return list(dict.fromkeys(line.what for side in self.sides for line in lines_of(side.session.run.log)))

    def _step(self) -> int:
        return max(side.session.step for side in self.sides)
