"""The *now* strip: what each actor does next, or what it waits for and who can end that."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from p2plab.core.actors import Actor
from p2plab.core.events import Entry
from p2plab.core.world import World
from p2plab.mm.log import NotifierEnd, NotifierStart
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.events import MoveBegun, MoveEnded
from p2plab.p2p.things import things_of
from p2plab.views.stage.chain import base_of, bases_of
from p2plab.views.stage.model import CRASHED, NEXT, RESTS, WAITS, Call, Now


def now_of(world: World, log: Sequence[Entry], calls: Sequence[Call]) -> tuple[Now, ...]:
    """A row for each actor, in their order."""
    roles = roles_of(world)
    bases = bases_of(world, log)
    return tuple(_row(world, log, calls, roles, bases, name, actor) for name, actor in world.actors.items())


def roles_of(world: World) -> dict[str, str]:
    """What each actor is in the scene; an actor without a role is missing."""
    things = things_of(world)
    roles = {mm.name: "process" for mm in things.spaces}
    roles |= {exporter.name: "exporter's driver" for exporter in things.exporters}
    for importer in things.importers:
        roles |= {importer.name: "importer's driver", importer.engine.name: "DMA engine"}
        timer = f"{importer.name}_timer"
        roles |= {timer: "its timer"} if timer in world.actors else {}
    return roles


def _row(
    world: World,
    log: Sequence[Entry],
    calls: Sequence[Call],
    roles: dict[str, str],
    bases: dict[str, int],
    name: str,
    actor: Actor,
) -> Now:
    locks = tuple(world.lock_order.held.get(name, ()))
    mine = [call for call in calls if call.actor == name and call.end is None and call.target != name]
    inside = f"in {mine[-1].target}'s {mine[-1].function}" if mine else ""
    role, op = roles.get(name, ""), actor.op
    if op is None:
        state, words = (CRASHED, "crashed; what it held stays held") if actor.crash else (RESTS, "finished")
        return Now(name, role, state, words, (), locks, inside)
    if actor.enabled:
        return Now(name, role, NEXT, _next(world, bases, name, op.label), (), locks, inside)
    engine = next((i.engine for i in things_of(world).importers if i.engine.name == name), None)
    if op.idle:
        stuck = engine is not None and engine.queue and not engine.stopped
        return Now(name, role, RESTS, "stopped: no entry for its page" if stuck else "nothing to do", (), locks, inside)
    others = world.waits_for(name) or _who_ends(world, log, name, op.label)
    return Now(name, role, WAITS, _waiting(name, others, world, op.label, bases), others, locks, inside)


def _next(world: World, bases: dict[str, int], name: str, label: str) -> str:
    workers: dict[str, Any] = {
        str(getattr(one, "name", "")): one for one in world.objects if hasattr(one, "inbox") and hasattr(one, "jobs")
    }
    if not label and name in workers and workers[name].inbox:
        return f"begins {workers[name].inbox[0]}"
    importer = next((i for i in things_of(world).importers if i.engine.name == name), None)
    if importer is not None:
        engine, base = importer.engine, base_of(importer, bases)
        if label == "looks up a page" and engine.queue:
            at = engine.next_page if engine.next_page is not None else engine.queue[0].start
            return f"looks up page {(at - base) // PAGE_SIZE}"
        if label == "beat lands" and engine.in_flight is not None:
            return f"beat for page {(engine.in_flight[0] - base) // PAGE_SIZE} lands"
    return plain(label, *bases.values()) or "goes on"


def _waiting(name: str, others: tuple[str, ...], world: World, label: str, bases: dict[str, int]) -> str:
    lock = lock_in(label)
    who = " and ".join(others)
    if lock and others:
        held = all(lock in world.lock_order.held.get(other, ()) for other in others)
        if others == (name,):
            return f"for itself: it holds {lock} already"
        holds = "hold" if len(others) > 1 else "holds"
        return f"for {who}, which {holds} {lock}" if held else f"for {who}, before it in the queue for {lock}"
    said = plain(label, *bases.values())
    return f"for {who}: {said}" if others else f"until: {said}"


def lock_in(label: str) -> str:
    """The lock that a step of this label takes, or empty."""
    found = re.match(r"lock (\S+)$|down_(?:read|write) (\S+)$|(\S+) granted$", label)
    return next((name for name in found.groups() if name), "") if found else ""


def _who_ends(world: World, log: Sequence[Entry], name: str, label: str) -> tuple[str, ...]:
    """The actors that can end a wait that does not name them: those that move the object or invalidate."""
    settled = re.match(r"(\S+) has settled$", label)
    if settled:
        movers: dict[str, str] = {}
        for entry in log:
            if isinstance(entry.event, MoveBegun):
                movers[entry.event.object] = entry.actor
            elif isinstance(entry.event, MoveEnded):
                movers.pop(entry.event.object, None)
        return (movers[settled[1]],) if settled[1] in movers else ()
    if label.startswith("range valid"):
        under_way: list[str] = []
        for entry in log:
            if isinstance(entry.event, NotifierStart):
                under_way.append(entry.actor)
            elif isinstance(entry.event, NotifierEnd) and entry.actor in under_way:
                under_way.remove(entry.actor)
        return tuple(dict.fromkeys(actor for actor in under_way if actor != name))
    return ()


def plain(label: str, *bases: int) -> str:
    """A step's label in words: pages instead of addresses (of the process that has them), locks as taken."""

    def page(text: str) -> int | None:
        numbers = ((int(text, 16) - base) // PAGE_SIZE for base in bases)
        return next((number for number in numbers if -64 <= number < 4096), None)

    def span(match: re.Match[str]) -> str:
        first, last = page(match[1]), page(match[2])
        if first is None or last is None:
            return match[0]
        return f"pages {first} to {last - 1}" if last - first > 1 else f"page {first}"

    def single(match: re.Match[str]) -> str:
        number = page(match[0])
        return match[0] if number is None else f"page {number}"

    label = re.sub(r"\[(0x[0-9a-f]+), (0x[0-9a-f]+)\)", span, label)
    label = re.sub(r"(0x[0-9a-f]+)\.\.(0x[0-9a-f]+)", span, label)
    label = re.sub(r"0x[0-9a-f]{9,16}", single, label)
    label = re.sub(r"^lock (\S+)$", r"take \1", label)
    label = re.sub(r"^down_(read|write) (\S+)$", r"take \2 (\1)", label)
    label = re.sub(r"^i_mmap_lock_read (\S+)$", r"take \1.i_mmap_rwsem (read)", label)
    return re.sub(r"^(\S+) released$", r"go on after \1", label)
