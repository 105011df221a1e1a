"""An exporter: a driver whose device's memory a process has mapped, and which lends it to other devices."""

from __future__ import annotations

from p2plab.mm import VM_DEVICE, File, Vma, VmOperations
from p2plab.p2p.contract import Peer
from p2plab.p2p.memory import BufferObject
from p2plab.pci import Machine


class Exporter(VmOperations):
    """``vm_ops`` of a device vma. A driver overrides ``p2p_map`` and ``p2p_unmap``, or leaves both out."""

    name: str
    bdf: str
    machine: Machine

    def object_behind(self, vma: Vma) -> BufferObject:
        """The object that a vma of ours shows."""
        thing = vma.vm_private_data
        assert isinstance(thing, BufferObject)
        return thing

    def frame_behind(self, vma: Vma, address: int) -> str:
        """``A[2]``: what a virtual address shows, by vm_pgoff and not by address, so that it survives a mremap."""
        return self.object_behind(vma).frame_name(vma.pgoff_of(address))

    def reaches(self, peer: Peer) -> bool:
        """Whether the two devices share an upstream bridge: the rule of January 2019 without its ACS part."""
        return self.machine.common_bridge(self.bdf, peer.bdf) is not None


class BufferFile(File):
    """The device file through which a process maps one object: ``mmap`` sets the exporter's ``vm_ops``.

    That is where Jérôme Glisse said they are set: 29 January 2019, <20190129191120.GE3176@redhat.com>.
    """

    has_pages = False
    can_punch = False

    def __init__(self, exporter: Exporter, thing: BufferObject) -> None:
        super().__init__(f"{exporter.name}:{thing.name}", len(thing.frames))
        self.exporter = exporter
        self.thing = thing

    async def mmap(self, vma: Vma) -> None:
        """Mark the vma as device memory; nothing is mapped for the CPU."""
        vma.vm_flags |= VM_DEVICE
        vma.vm_ops = self.exporter
        vma.vm_private_data = self.thing
