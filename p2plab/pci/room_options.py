"""Boot options that decide what room Linux gives: ``pci=realloc``, ``hpiosize=``, ``hpmemsize=`` and their like.

``pci_setup`` in drivers/pci/pci.c, v6.12.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from p2plab.core.errors import BadInput
from p2plab.pci.sizing import MIB

_SIZE = re.compile(r"([0-9]{1,15})([KMGT]?)")
_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}


@dataclass(frozen=True)
class RoomOptions:
    """What the command line asks for: ``realloc`` (``None``: it decides), and bytes to keep below each port with hot plug."""

    realloc: bool | None = None
    io: int = 256  #: ``pci_hotplug_io_size``
    mmio: int = 2 * MIB  #: ``pci_hotplug_mmio_size``
    mmio_pref: int = 2 * MIB  #: ``pci_hotplug_mmio_pref_size``


DEFAULT = RoomOptions()


def room_options(cmdline: str) -> RoomOptions:
    """The options of a kernel command line, such as ``pci=realloc,hpmmioprefsize=256M``. BadInput for a bad size.

    >>> room_options("quiet pci=realloc,hpmemsize=16M")
    RoomOptions(realloc=True, io=256, mmio=16777216, mmio_pref=16777216)
    """
    found = RoomOptions()
    given = [word.removeprefix("pci=") for word in cmdline.split() if word.startswith("pci=")]
    for option in ",".join(given).split(","):
        name, _, value = option.partition("=")
        if name == "realloc" and value in ("", "on", "off"):
            found = replace(found, realloc=value != "off")
        elif name == "hpiosize":
            found = replace(found, io=_bytes(option, value))
        elif name == "hpmmiosize":
            found = replace(found, mmio=_bytes(option, value))
        elif name == "hpmmioprefsize":
            found = replace(found, mmio_pref=_bytes(option, value))
        elif name == "hpmemsize":
            found = replace(found, mmio=_bytes(option, value), mmio_pref=_bytes(option, value))
    return found


def _bytes(option: str, value: str) -> int:
    size = _SIZE.fullmatch(value.upper())
    if not size:
        raise BadInput(f"pci={option[:40]}: a size is a number with K, M, G or T behind it")
    return int(size[1]) << _UNITS[size[2]]
