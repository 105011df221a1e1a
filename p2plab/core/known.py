"""What the rooms above declare and ``core`` and ``search`` use. The package's ``__init__`` hands it in, once.

Until then nothing is known; a scene that brings its own monitors can still be run and searched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from p2plab.core.monitor import Goal, Monitor
    from p2plab.core.scenario import Scenario


def _as_it_is(scene: Scenario, _classes: Mapping[str, type]) -> Scenario:
    return scene


def _in_a_word(answer: Any) -> str:
    return f"{answer.scene}: {answer.word}"


#: Gives every kind of event by its name (``{"Stepped": Stepped, …}``): a log in a file has only the names.
events: Callable[[], Mapping[str, Any]] = dict
#: Gives every scene by its name.
scenes: Callable[[], Mapping[str, Scenario]] = dict
#: Gives every monitor by its name: a scene's ``rules`` are names.
monitors: Callable[[], Mapping[str, type[Monitor]]] = dict
#: Gives every goal by its name: a scene's ``must`` are names.
goals: Callable[[], Mapping[str, Goal]] = dict
#: Gives the scene as it is judged with these classes in its roles, with the rules that came with them.
judged: Callable[[Scenario, Mapping[str, type]], Scenario] = _as_it_is
#: Gives a search's answer as text for a person.
report: Callable[[Any], str] = _in_a_word
