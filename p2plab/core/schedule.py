"""Schedules: which actor takes the next step. From a list, by a seed, by the clock, straight on, or from text.

A schedule is a function from a world to an iterator of choices: each choice is taken before the next is asked for, so a
schedule can look at the world as it goes. ``follow`` lets one drive.

The text form, for people and for a shell: words that name an actor (``gpu``: as long as it can; ``gpu*3``: three steps)
or press an action (``!defrag``); ``...`` runs on until no actor can.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Iterable, Iterator

from p2plab.core.errors import BadInput
from p2plab.core.world import World

Schedule = Callable[[World], Iterator[str]]

#: A run by text, seed or clock ends after this many steps unless more are asked for.
LONGEST = 100_000


def follow(world: World, schedule: Schedule, limit: int = LONGEST) -> tuple[str, ...]:
    """Let a schedule drive, for at most ``limit`` steps; the choices taken. :exc:`NotEnabled` for an impossible one."""
    taken: list[str] = []
    for choice in schedule(world):
        if len(taken) == limit:
            break
        world.take(choice)
        taken.append(choice)
    return tuple(taken)


def by_list(choices: Iterable[str]) -> Schedule:
    """Exactly these choices."""
    fixed = tuple(choices)
    return lambda _world: iter(fixed)


def straight(world: World) -> Iterator[str]:
    """Stay with an actor as long as it can, then the first that can: few switches."""
    while enabled := world.enabled():
        actor = enabled[0]
        while world.actors[actor].enabled:
            yield actor


def by_seed(seed: int) -> Schedule:
    """Any enabled actor, by a private generator: the same seed gives the same run on every machine."""

    def drive(world: World) -> Iterator[str]:
        generator = random.Random(seed)  # random() is stable between Python versions; choice() is not
        while enabled := world.enabled():
            yield enabled[int(generator.random() * len(enabled))]

    return drive


def by_clock(world: World) -> Iterator[str]:
    """The actor that is ready first (a discrete-event simulation); ties go to the one added first."""
    while enabled := world.enabled():
        yield min(enabled, key=lambda name: world.actors[name].ready)


_WORD = re.compile(r"!(?P<action>[A-Za-z][\w-]*)|(?P<actor>[A-Za-z][\w.]*?)(?:\*(?P<count>[0-9]{1,6}))?|(?P<on>\.\.\.)")


def by_text(text: str, strict: bool = True) -> Schedule:
    """The choices that a text describes; :exc:`BadInput` names the word that cannot be read or done.

    Not ``strict``: what cannot be done is left out, so that a scene's story can be told with other knobs.
    """
    words = [(number, word, _WORD.fullmatch(word)) for number, word in enumerate(re.findall(r"[^\s,]+", text), 1)]
    for number, word, match in words:
        if match is None:
            raise BadInput(
                f"schedule, word {number}: {word[:40]!r} cannot be read; write actor, actor*3, !action or ..."
            )

    def drive(world: World) -> Iterator[str]:
        for number, word, match in words:
            assert match is not None
            for choice in _choices(world, match):
                if why_not := world.why_not(choice):
                    if not strict:
                        break
                    raise BadInput(f"schedule, word {number}, {word[:40]!r}: {why_not}")
                yield choice

    return drive


def _choices(world: World, word: re.Match[str]) -> Iterator[str]:
    actor = word["actor"]
    if word["on"]:
        yield from straight(world)
    elif word["action"]:
        yield f"!{word['action']}"
    elif word["count"]:
        yield from (actor for _ in range(int(word["count"])))
    elif actor not in world.actors:
        yield actor  # why_not says that there is no such actor
    else:
        while world.actors[actor].enabled:
            yield actor


def schedule_text(schedule: tuple[str, ...]) -> str:
    """``app*6 nic*7 gpu``: the schedule as a person would write it."""
    groups = [(choice, len(list(group))) for choice, group in itertools.groupby(schedule)]
    return " ".join(
        choice if count == 1 and choice.startswith("!") else f"{choice}*{count}" for choice, count in groups
    )
