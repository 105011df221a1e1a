"""A design: what each line of the step list does under it, and where that is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from p2plab.core.errors import KernelError
from p2plab.core.scenario import Role
from p2plab.core.tracked import Tracked
from p2plab.core.world import World
from p2plab.designs.stage import ALL
from p2plab.mm import LINUX_6_12, Kernel

#: What is watched under every design.
COMMON = ("no-stale-dma", "told-first", "no-overlap", "no-deadlock", "lock-order", "no-crash")


class Play(Tracked):
    """One design on the stage. A subclass does each line of the list; what it does not override it does not have.

    ``importer`` and ``exporter`` are the parties, as the views look for them.
    """

    kernel: ClassVar[Kernel] = LINUX_6_12
    importers: ClassVar[dict[str, Any]] = {}  #: the knob ``importer``: a class, or what the design makes of it
    exporters: ClassVar[dict[str, Any]] = {}
    roles: ClassVar[Mapping[str, Role]] = {}  #: the parts that a class of your own can play
    importer: Any
    exporter: Any

    def __init__(self, world: World, stage: Any, cast: Cast) -> None:
        raise NotImplementedError

    async def set_up(self) -> None:
        """The exporter offers its memory, the importer gets a handle."""
        raise NotImplementedError

    async def map(self) -> None:
        """The importer gets DMA addresses and programs its device."""
        raise NotImplementedError

    async def dma(self) -> None:
        """The device writes to all of the memory."""
        await self.importer.dma(ALL)

    async def submit(self) -> None:
        """The user rings the doorbell, and does not wait."""
        await self.importer.submit(ALL)

    async def take_back(self, first: int, last: int) -> None:
        """The exporter wants pages ``first`` to ``last`` of its memory back."""
        raise NotImplementedError

    async def unmap(self) -> None:
        """The importer's user is done with the memory."""
        raise NotImplementedError

    async def unplug(self) -> None:
        """The exporter's device is removed."""
        raise KernelError("EOPNOTSUPP", "this memory belongs to no device that could be removed")

    async def exit(self) -> None:
        """The process exits without having unmapped anything."""
        raise NotImplementedError


@dataclass(frozen=True)
class Cast:
    """Who plays, and the value of the knob ``trouble``."""

    importer: type[Any]
    exporter: type[Any]
    trouble: str


@dataclass(frozen=True)
class Design:
    """``years``: since when; ``source``: where its rules are written; ``simplified``: what the model leaves out.

    ``faulty``: the knobs' values of the broken importers and exporters, each with the rule that must catch it.
    """

    name: str
    title: str
    years: str
    play: type[Play]
    source: str
    simplified: str
    rules: tuple[str, ...]
    good: tuple[str, ...] = ("good",)
    faulty: dict[str, str] = field(default_factory=dict)
    version: int = 1

    @property
    def scene(self) -> str:
        """The name of its scenario."""
        return f"design-{self.name}"
