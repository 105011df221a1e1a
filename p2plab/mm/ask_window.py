"""What another thread gets while a callback sleeps: the window between "this is about to go" and "it is gone"."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from p2plab.core.actors import idle
from p2plab.core.errors import BadInput, KernelError
from p2plab.core.world import World
from p2plab.mm.ask_operations import OPERATIONS
from p2plab.mm.ask_specimen import KINDS, PAGES, START, Specimen
from p2plab.mm.flags import PAGE_SIZE
from p2plab.mm.kernel import TODAY, Kernel
from p2plab.mm.notifier import MmuNotifier, MmuNotifierRange
from p2plab.mm.touch import Signal

#: pages that can be touched, in lengths of the mapping: mremap moves it to the third
NEAR = 8
WORKS, NO_CALL = "works", "there is no window: no listener is called"


@dataclass(frozen=True, slots=True)
class CallbackWindow:
    """One operation, and a thread that touches a page: ``during`` the first callback, and ``after`` the operation."""

    operation: str
    kind: str
    kernel: str
    page: int
    write: bool
    event: str
    during: str
    after: str

    def __str__(self) -> str:
        access = f"a {'write to' if self.write else 'read of'} page {self.page}"
        said = f"{self.operation} of {self.kind} memory (Linux {self.kernel}): "
        told = f"{access} during {self.event} {self.during}; afterwards it {self.after}"
        return said + (told if self.event else NO_CALL)


def window(operation: str, kind: str, page: int = 6, *, write: bool = True, kernel: Kernel = TODAY) -> CallbackWindow:
    """Let one thread do the operation and sleep in its first callback, while another touches a page. BadInput lists names.

    >>> print(window("munmap_part", "device"))
    munmap_part of device memory (Linux 7.3): a write to page 6 during UNMAP works; afterwards it gets SIGSEGV
    """
    if operation not in OPERATIONS or kind not in KINDS:
        raise BadInput(
            f"no {operation[:40]!r} of {kind[:40]!r}; there are {', '.join(OPERATIONS)} of {', '.join(KINDS)}"
        )
    if not 0 <= page < NEAR * PAGES[kind]:
        raise BadInput(f"page {page} is not one of the first {NEAR * PAGES[kind]} pages from the start of the mapping")
    scene = _Scene(operation, kind, page, write, kernel)
    return CallbackWindow(operation, kind, kernel.name, page, write, scene.event, scene.during, scene.after)


class _Scene:
    """Thread A does the operation and sleeps in its first callback; thread B touches the page then, and again afterwards."""

    def __init__(self, operation: str, kind: str, page: int, write: bool, kernel: Kernel) -> None:
        self.event = ""
        self.asleep = self.done = False
        self.said: list[str] = []
        self.where = START + page * PAGE_SIZE

        async def sleep(range: MmuNotifierRange) -> None:
            if not self.event:
                self.event, self.asleep = range.event, True
                await idle(lambda: not self.asleep, "the callback sleeps")

        class Sleeper(MmuNotifier):
            name = "sleeper"

            async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
                await sleep(range)
                return 0

        def build(world: World) -> None:
            specimen = Specimen(kind, kernel)

            async def a() -> None:
                await specimen.set_up()
                with contextlib.suppress(KernelError):
                    await OPERATIONS[operation].prepare(specimen)
                await specimen.mm.mmu_notifier_register(Sleeper())
                with contextlib.suppress(KernelError, Signal):
                    await OPERATIONS[operation].do(specimen)
                self.done = True

            async def b() -> None:
                for _ in range(2):
                    await idle(lambda: self.asleep or self.done, "waits for the window")
                    try:
                        await specimen.mm.touch(self.where, self.where + PAGE_SIZE, write)
                        self.said.append(WORKS)
                    except Signal as signal:
                        self.said.append(f"gets {signal.name}")
                    await idle(lambda: self.done, "waits for the end")

            world.actor("A", a)
            world.actor("B", b)

        world = World(build)
        self._run(world, "A")
        self._run(world, "B")
        waits = world.why_not("B").removeprefix("B waits: ")
        self.during = self.said[0] if self.said else f"waits ({waits})"
        self.asleep = False
        while enabled := world.enabled():
            world.take(enabled[0])
        self.after = self.said[-1] if self.said else "waits for ever"

    def _run(self, world: World, actor: str) -> None:
        while world.actors[actor].enabled and not (actor == "A" and self.asleep):
            world.take(actor)
