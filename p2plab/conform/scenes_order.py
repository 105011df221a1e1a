"""A record's order, followed by the model: its play's buttons are pressed where they were, and the actor that acts next in
the record acts next. Where the model differs, the comparison shows it; the order never changes what a step does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from p2plab.conform.report import NotModelled
from p2plab.conform.scenes_read import Record
from p2plab.conform.scenes_story import TASKS, Reader, Token, of_record
from p2plab.core.schedule import Schedule, straight
from p2plab.core.world import World

#: Steps of a play that set things up for later steps, or look: nothing to press.
SETS_UP = {"bind", "again", "again2", "then", "clean", "object", "show", "anon", "victim", "stuck"}
_ASKED = re.compile(r"> (?:(?:gpu|nic2?) )?([a-z]\w*)(.*)")


def pressed(text: str, pages: int) -> str:
    """The button for a step of a play, empty if it needs none. :exc:`NotModelled` where there is none for it."""
    found = _ASKED.fullmatch(text)
    if found is None or found[1] in SETS_UP:
        return ""
    word, rest = found[1], found[2].split()
    if word == "munmap" and rest != ["0", str(pages)]:
        raise NotModelled(f"a play that unmaps in part ({text[2:40]})")
    return word


def script(record: Record, pages: int) -> list[Token]:
    """The record's tokens, and among them the presses as ``("!", action)``, their ends as ``("<", actor)``, and as
    ``("#", actor)`` that an importer was held before its call, after it had checked the range."""
    found: list[Token] = []
    started = False
    done = 0
    for number, (task, text) in enumerate(record.events):
        if text == "= state before":
            started = True
        elif started and text in ("= state after", "comes out of the kernel"):
            break
        elif started and (text[:2] in ("> ", "< ") or text == f"# held at {task}.asks"):
            before = of_record(record.events[:number], guide=True)[0]
            found += before[done:]
            done = len(before)
            if text[0] == "#":
                found.append(("#", TASKS.get(task, task)))
            elif text[0] == "<":
                found.append(("<", TASKS.get(task, task)))
            elif action := pressed(text, pages):
                found.append(("!", action))
    return found + of_record(record.events, guide=True)[0][done:]


def in_its_order(record: Record, pages: int) -> Schedule:
    """A schedule that follows the record."""
    wanted = script(record, pages)

    def drive(world: World) -> Iterator[str]:
        left = list(wanted)
        reader, read, seen, last = Reader(guide=True), 0, 0, ""
        while True:
            reader.read(world.log[read:])
            read = len(world.log)
            for token in reader.tokens[seen:]:
                if token in left:
                    left.remove(token)
            seen = len(reader.tokens)
            if not left:
                yield from straight(world)
                return
            who, what = left[0]
            if who == "!":
                left.pop(0)
                if what not in world.actions:
                    raise NotModelled(f"a play with {what!r}, for which the scene has no button")
                if not world.why_not(f"!{what}"):  # else the model is elsewhere, and the comparison will say so
                    yield f"!{what}"
                continue
            if who == "#":
                left.pop(0)
                while what in world.enabled() and not _asks(world, what):
                    yield what
                continue
            if who == "<":
                left.pop(0)
                while what in world.actors and world.actors[what].enabled:
                    yield what
                continue
            able = world.enabled()
            if last in able and last != who and _released(world, last):
                yield last  # one CPU: the thread that releases a lock runs on
                continue
            if not able:
                presses = [token for token in left if token[0] == "!"]
                if not presses:
                    return
                left = left[left.index(presses[0]) :]
                continue
            last = who if who in able else next((name for name, _ in left if name in able), able[0])
            yield last

    return drive


def _asks(world: World, actor: str) -> bool:
    """Whether an actor is about to take mmap_lock for its call."""
    op = world.actors[actor].op
    return op is not None and op.label.startswith("down_read ")


def _released(world: World, actor: str) -> bool:
    """Whether an actor is only about to go on after releasing a lock."""
    op = world.actors[actor].op
    return op is not None and op.label.endswith(" released")
