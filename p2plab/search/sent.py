"""A verdict on its way between processes: plain values, and the choices of its story."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from p2plab.core.run import Run
from p2plab.core.scenario import Scenario
from p2plab.search.verdict import Effort, Incomplete, Net, Orbits, Pass, RandomOrders, Verdict, Violation

_KINDS = {"effort": Effort, "orbits": Orbits, "net": Net, "chance": RandomOrders}


def packed(answer: Verdict) -> dict[str, Any]:
    """A verdict of one scene as plain values; its run as knobs and choices."""
    fields = {at.name: getattr(answer, at.name) for at in dataclasses.fields(answer) if at.init}  # type: ignore[arg-type]
    for name in _KINDS:
        if fields.get(name) is not None:
            fields[name] = dataclasses.asdict(fields[name])
    if isinstance(answer, Violation):
        fields |= {"run": [answer.run.settings, answer.run.schedule], "shrunk": None, "also": None}
    return {"kind": type(answer).__name__, **fields}


def unpacked(said: Mapping[str, Any], scene: Scenario) -> Verdict:
    """The verdict that was :func:`packed`; its run is executed once more."""
    kind = {one.__name__: one for one in (Pass, Violation, Incomplete)}[said["kind"]]
    fields = {name: _as_tuples(value) for name, value in said.items() if name not in ("kind", "run")}
    for name, one in _KINDS.items():
        if fields.get(name) is not None:
            fields[name] = one(**{field: _as_tuples(value) for field, value in fields[name].items()})
    if kind is Violation:
        settings, choices = said["run"]
        fields["run"] = Run(scene, settings, choices)
    made: Verdict = kind(**fields)
    return made


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value
