"""What the author of a driver needs, in one place: ``from p2plab.course.kit import …`` (or ``*`` in a notebook)."""

from p2plab.core import errno
from p2plab.core.actors import step, wait_event
from p2plab.core.errors import KernelError
from p2plab.course.given import (
    CallbackToWrite,
    EndToWrite,
    EndWritten,
    ExporterToWrite,
    MapToWrite,
    TwoEngines,
    VfioToMend,
)
from p2plab.drivers.gpu import Gpu
from p2plab.mm import MmuNotifierRange, Vma
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.contract import Peer
from p2plab.p2p.importer import Importer
from p2plab.p2p.memory import BufferObject
from p2plab.rules.base import Rule

__all__ = [
    "PAGE_SIZE",
    "BufferObject",
    "CallbackToWrite",
    "EndToWrite",
    "EndWritten",
    "ExporterToWrite",
    "Gpu",
    "Importer",
    "KernelError",
    "MapToWrite",
    "MmuNotifierRange",
    "Peer",
    "Rule",
    "TwoEngines",
    "VfioToMend",
    "Vma",
    "errno",
    "power_off",
    "refuse_maps",
    "step",
    "wait_event",
]


def refuse_maps(gpu: Gpu, why: str) -> None:
    """From here on ``check`` raises -ENODEV. Within the running step; hold ``gpu.lock``."""
    gpu.refuse_maps(why)


def power_off(gpu: Gpu, why: str) -> None:
    """Nothing answers any more. Within the running step; hold ``gpu.lock``."""
    gpu.power_off(why)
