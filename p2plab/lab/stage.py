"""The stage in a notebook: the moment of a run travels in traits, what a person does comes back as messages."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import anywidget
import traitlets

from p2plab.core.run import Run
from p2plab.views.stage import moment
from p2plab.views.stage.files import stage_script, stage_style
from p2plab.views.stage.model import Said
from p2plab.views.stage.wire import (
    WINDOW,
    changes,
    moment_json,
    objects_of,
    run_json,
    scene_json,
    unjudged,
    unnamed,
)


class StagePane(anywidget.AnyWidget):
    """Shows one step of a run. :meth:`show` is the only way in; ``heard(message)`` gets what a person does.

    Messages are dicts: ``{"look": 7}``, ``{"press": "map"}``, ``{"do": "step"}``, ``{"knob": ["pages", 8]}``,
    ``{"scene": "e4"}``, ``{"unfold": "slot:20-63"}``, ``{"drawer": True}``, ``{"choose": "page 2"}``.
    """

    _esm = stage_script()
    _css = stage_style()
    scene = traitlets.Dict().tag(sync=True)
    run = traitlets.Dict().tag(sync=True)
    moment = traitlets.Dict().tag(sync=True)
    options = traitlets.Dict().tag(sync=True)
    check = traitlets.Dict().tag(sync=True)
    #: A question on the picture, or nothing: ``{"id": 3, "sort": "cell" | "actor" | "step", "places": [[choice, place]],
    #: "several": False, "chosen": [choice], "verdicts": {choice: "right" | "wrong" | "missed"} or None, "to": step}``.
    asked = traitlets.Dict().tag(sync=True)
    #: Counts what was shown: the browser waits for it before it asks for another step.
    seq = traitlets.Int().tag(sync=True)
    #: Counts what a moment depends on beside its step: the run, and the blocks that are unfolded.
    edition = traitlets.Int().tag(sync=True)
    #: Moments around the one at ``step``, as what differs from it: ``{"edition": 1, "step": 7, "moments": {"6": {...}}}``.
    near = traitlets.Dict({"edition": 0, "step": 0, "moments": {}}).tag(sync=True)

    def __init__(
        self, heard: Callable[[Mapping[str, Any]], None] | None = None, reach: int = 0, **options: Any
    ) -> None:
        """``reach``: how many steps on either side of the shown step are sent after it."""
        super().__init__(options=options)
        self.reach = reach
        self.opened: set[str] = set()
        self._of: tuple[Run, set[str]] | None = None  # the content of the edition: a run, and the unfolded blocks
        self._known: set[int] = set()  # steps of this edition whose moments the browser has
        self._made: dict[int, dict[str, Any]] = {}  # the latest moments of this edition
        self._other_words = False  # whether this edition showed another sentence than a step's own
        self._shown: Any = None
        self._read: Run | None = None
        if heard is not None:
            self.on_msg(lambda _widget, message, _buffers: heard(message))

    def json_of(self, run: Run, step: int) -> dict[str, Any]:
        """The moment as the browser gets it."""
        return moment_json(moment(run, step), objects_of(run), self.opened)

    def _moment(self, run: Run, step: int) -> dict[str, Any]:
        """The same, for the edition that is shown: what was sent as a neighbour is not made again."""
        made = self._made.pop(step, None) or self.json_of(run, step)
        self._made[step] = made
        if len(self._made) > 3 * self.reach:
            del self._made[next(iter(self._made))]
        return made

    def show(
        self,
        run: Run,
        step: int,
        check: Mapping[str, Any] | None = None,
        differs: Collection[str] | None = None,
        said: Said | None = None,
        unsaid: int | None = None,
    ) -> None:
        """Show a step. What is already shown is not sent. ``differs``: keys of what another stage shows differently.

        ``said``: another sentence than the step's own. ``unsaid``: a step after which the browser is not given what becomes of
        the run, nor whose scene it is.
        """
        kind = (run.scenario, run.settings)
        if self._shown is None or self._shown[0] is not kind[0] or self._shown[1] != kind[1]:
            self.opened.clear()
            self._scene = scene_json(run)
            self._shown = kind
        again = self._of is not None and self._of[1] == self.opened and self._continues(run, self._of[0])
        grown = again and self._of is not None and self._of[0] is not run
        self._of = (run, set(self.opened))
        if run is not self._read or len(run) > WINDOW:  # the diagram of a short run is the same at every step
            self._read, self._diagram = run, run_json(run, step)
        with self.hold_sync():
            if not again:
                self.edition += 1
                self._known.clear()
                self._made.clear()
                self._other_words = False
            self._other_words |= said is not None
            self.scene = self._scene if unsaid is None else unnamed(self._scene)
            self.run = self._diagram if unsaid is None else unjudged(self._diagram, unsaid)
            self.moment = self._moment(run, step) | (
                {} if said is None else {"said": [said.what, said.means, said.tone]}
            )
            self.check = dict(check or {})
            if differs is not None:
                self.options = {**self.options, "differs": sorted(differs)}
            self.seq += 1
        self._known.add(step)
        # A new run is most often continued, and one that is browsed is browsed further.
        self._send_near(run, step, self.reach if again and not grown else min(self.reach, 1))

    def _continues(self, run: Run, shown: Run) -> bool:
        """Whether all moments that the browser has are also those of ``run``: it is the run that was shown, or that one
        carried on, for no later step changes an earlier moment. Other words than a step's own were true of that run's end."""
        if run is shown:
            return True
        same = run.scenario is shown.scenario and run.settings == shown.settings
        return same and not self._other_words and run.schedule[: len(shown)] == shown.schedule

    def _send_near(self, run: Run, step: int, reach: int) -> None:
        """Send the moments around a step that the browser does not have yet."""
        around = range(max(0, step - reach), min(len(run), step + reach) + 1)
        wanted = [other for other in around if other not in self._known]
        if wanted:
            shown = dict(self.moment)
            made = {str(other): changes(iter([shown, self._moment(run, other)]))[1][0] for other in wanted}
            self.near = {"edition": self.edition, "step": step, "moments": made}
            self._known.update(wanted)

    def unfold(self, key: str) -> None:
        """Open a folded block, or close it; shown by the next :meth:`show`."""
        self.opened ^= {key}

    @property
    def said(self) -> str:
        """The sentence that is shown."""
        return f"{self.moment['said'][0]} {self.moment['said'][1]}".rstrip()

    @property
    def broken(self) -> dict[str, int]:
        """The promises that are shown as broken, with the step at which each broke."""
        return {rule: step for rule, state, step, _what in self.moment["chips"] if state == "broken"}
