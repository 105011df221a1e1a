"""An exporter: a driver whose device's memory a process has mapped, and which lends it to other devices."""

from __future__ import annotations

from collections.abc import Mapping

from p2plab.core import errno
from p2plab.core.errors import KernelError
from p2plab.core.events import emit
from p2plab.core.locks import Mutex
from p2plab.mm import VM_DEVICE, VM_WRITE, File, Vma, VmOperations, unmap_mapping_range
from p2plab.p2p.aperture import PAGE_SIZE, Aperture
from p2plab.p2p.contract import Peer
from p2plab.p2p.events import DeviceGone, Disaster, LendingEnded, Lent, ObjectDestroyed, PermissionChanged
from p2plab.p2p.fabric import Fabric
from p2plab.p2p.memory import BufferObject, DeviceMemory
from p2plab.p2p.wiring import WIRINGS
from p2plab.pci import KERNELS, Machine, pci_test_p2p, reach_verdict
from p2plab.pci.kernel import TODAY


class Exporter(VmOperations):
    """``vm_ops`` of a device vma. A driver overrides ``p2p_map`` and ``p2p_unmap``, or leaves both out.

    This class keeps the records: which importer was lent which page at which address, what may be lent, and whom to notify.
    """

    wiring = "as-intended"  #: which code sets and which code calls the callbacks
    rules = TODAY.name  #: whose rules of reachability apply: a kernel's, by name, or ``as-posted`` (patch 1/5)
    gone = ""  #: the disaster after which nothing is lent any more

    def __init__(
        self,
        name: str,
        bdf: str,
        machine: Machine,
        memory: DeviceMemory,
        aperture: Aperture,
        fabric: Fabric | None = None,
    ) -> None:
        self.name = name
        self.bdf = bdf
        self.machine = machine
        self.memory = memory
        self.aperture = aperture
        self.fabric = fabric
        self.lock = Mutex(f"{name}.bar")
        self.files: dict[str, BufferFile] = {}  #: object -> the file through which processes map it
        self.lent: dict[tuple[str, int], int] = {}  #: (importer, page's virtual address) -> address lent

    # -- what is behind a vma, and what may be lent ------------------------------------------------------------------

    def object_behind(self, vma: Vma) -> BufferObject:
        """The object that one of this exporter's vmas shows."""
        thing = vma.vm_private_data
        assert isinstance(thing, BufferObject)
        return thing

    def frame_behind(self, vma: Vma, address: int) -> str:
        """``A[2]``: what a virtual address shows, by vm_pgoff and not by address, so that it survives a mremap."""
        return self.object_behind(vma).frame_name(vma.pgoff_of(address))

    def reaches(self, peer: Peer) -> bool:
        """Whether the peer's accesses would arrive at this exporter's BAR, by the kernel's rules."""
        machine = self.machine if self.fabric is None else self.fabric.machine
        if peer.bdf not in machine:
            return False  # not a PCI function of this machine: the kernel refuses such a client
        if self.rules == "as-posted":
            return pci_test_p2p(machine, self.bdf, peer.bdf, "as posted")
        return reach_verdict(machine, self.bdf, peer.bdf, KERNELS[self.rules]).reachable

    def check(self, vma: Vma, write: bool) -> None:
        """-ENODEV, -ENXIO, -EIO, -EACCES or -EPERM where nothing of this vma may be lent now. Checked at every map."""
        thing = self.object_behind(vma)
        if self.gone:
            raise KernelError("ENODEV", f"{self.name} is gone ({self.gone})")
        if thing.state == "destroyed":
            raise KernelError("ENXIO", f"{thing.name} was destroyed")
        if thing.state == "lost":
            raise KernelError("EIO", f"the bytes of {thing.name} were lost, and its owner has not filled it again")
        if not thing.allowed:
            raise KernelError("EACCES", f"{thing.owner} withdrew the permission to lend {thing.name}")
        if write and not vma.vm_flags & VM_WRITE:
            raise KernelError("EPERM", f"the vma at {vma.vm_start:#x} is read-only")

    # -- the records --------------------------------------------------------------------------------------------------

    def lend(
        self, vma: Vma, peer: Peer, start: int, buses: list[tuple[int, str]], pa: list[int], write: bool = True
    ) -> None:
        """Write one address a page into ``pa`` and the records: an IOVA of that peer where an IOMMU is on.

        ``write`` is what the peer asked for: with an IOMMU, one that asked to read cannot write.
        """
        iommu = self.fabric.iommu if self.fabric is not None else None
        for number, (bus, kind) in enumerate(buses):
            pa[number] = bus if iommu is None or kind == "link" else iommu.map(peer.name, bus, write)
            self.lent[peer.name, start + number * PAGE_SIZE] = pa[number]
        kinds = tuple(kind if iommu is None or kind == "link" else "iova" for _, kind in buses)
        emit(Lent(self.name, peer.name, self.object_behind(vma).name, start, tuple(pa), kinds))

    def strike(self, peer: Peer, start: int, end: int) -> None:
        """Remove ``[start, end)`` of a peer from the records and the IOMMU.

        -EINVAL, with nothing changed, if a page of it is not lent to that peer: given back twice, or another peer's.
        """
        keys = [(peer.name, page) for page in range(start, end, PAGE_SIZE)]
        strange = [key for key in keys if key not in self.lent]
        if strange:
            raise KernelError("EINVAL", f"{len(strange)} pages from {strange[0][1]:#x} are not lent to {peer.name}")
        iommu = self.fabric.iommu if self.fabric is not None else None
        for key in keys:
            address = self.lent.pop(key)
            if iommu is not None and (peer.name, address) in iommu.table:
                iommu.unmap(peer.name, address)
        emit(LendingEnded(self.name, peer.name, start, end))

    async def take_back(self, peer: Peer, start: int, end: int) -> int:
        """What ``p2p_unmap`` does in most drivers: remove the pages from the records, under the lock; 0 or -EINVAL."""
        async with self.lock:
            try:
                self.strike(peer, start, end)
            except KernelError as error:
                return -error.errno
            return 0

    def revoke(self, thing: BufferObject) -> None:
        """After all importers were notified: with an IOMMU, no address that was lent for the object leads to it any more."""
        if self.fabric is not None and self.fabric.iommu is not None:
            slots = [slot for slot in self.aperture.slots_of(thing) if slot is not None]
            self.fabric.iommu.revoke(tuple(self.aperture.address(slot) for slot in slots))

    async def grant_pin(self, vma: Vma, peer: Peer) -> int:
        """Whether the object may be held where it is for ``peer`` from here on: 0 or ``-errno``. Most exporters refuse.

        The flag of <20190131153737.GD4619@redhat.com>; a GPU that grants it moves the object to main memory first
        (<20190130154328.GA3177@redhat.com>).
        """
        return -errno.EOPNOTSUPP

    # -- notifying importers ------------------------------------------------------------------------------------------

    async def invalidate(self, thing: BufferObject) -> None:
        """Take an object back from every importer that mapped it, in every process, without moving it.

        By the file's reverse map, as DRM drivers do (``drm_vma_node_unmap``): no mmap_lock is needed or held.
        Nothing happens if no process ever opened the object. TypeError for anything but a :class:`BufferObject`.
        """
        if not isinstance(thing, BufferObject):
            raise TypeError(
                f"invalidate takes a BufferObject, as {self.name}.memory.objects has them, and not a {type(thing).__name__}"
            )
        if thing.name in self.files:
            mapping = self.files[thing.name].f_mapping
            await unmap_mapping_range(mapping, 0, mapping.i_size - 1)

    def refuse_maps(self, why: str) -> None:
        """From here on nothing is lent (-ENODEV). Within the running step."""
        self.gone = why
        emit(Disaster(self.name, why))

    def power_off(self, why: str) -> None:
        """Nothing answers at the BAR any more. Within the running step."""
        self.gone = why
        self.aperture.powered = False
        emit(DeviceGone(self.name, why))

    def permit(self, thing: BufferObject, allowed: bool) -> None:
        """Change, within the running step, whether the object may be lent to other devices."""
        thing.allowed = allowed
        emit(PermissionChanged(self.name, thing.name, allowed))

    def destroy(self, thing: BufferObject) -> None:
        """Free an object's memory and its slots, within the running step; the vmas that show it stay."""
        for slot in self.aperture.slots_of(thing):
            if slot is not None:
                self.aperture.free(slot)
        self.memory.destroy(thing.name)
        emit(ObjectDestroyed(self.name, thing.name))

    def open_file(self, name: str) -> BufferFile:
        """The file of an object, to be mapped by a process; -ENOENT if there is no such object."""
        if name not in self.memory.objects:
            raise KernelError("ENOENT", f"{self.name} has no object {name}; it has {', '.join(self.memory.objects)}")
        if name not in self.files:
            self.files[name] = BufferFile(self, self.memory.objects[name])
        return self.files[name]


#: The kinds of exporter that a process's vma leads to, and the class to derive each from.
EXPORTERS: Mapping[str, type[Exporter]] = {"exporter": Exporter}


class BufferFile(File):
    """The device file through which a process maps one object: ``mmap`` sets the exporter's ``vm_ops``.

    That is where, according to Jérôme Glisse, they are set: 29 January 2019, <20190129191120.GE3176@redhat.com>.
    """

    has_pages = False
    can_punch = False

    def __init__(self, exporter: Exporter, thing: BufferObject) -> None:
        super().__init__(f"{exporter.name}:{thing.name}", len(thing.frames))
        self.exporter = exporter
        self.thing = thing

    def frame_behind(self, vma: Vma, address: int) -> str:
        """``A[2]``: what a virtual address of the vma shows, by vm_pgoff and not by address, so that it survives a mremap."""
        return self.thing.frame_name(vma.pgoff_of(address))

    async def mmap(self, vma: Vma) -> None:
        """Mark the vma as device memory; nothing is mapped for the CPU. -ENODEV after a disaster."""
        if self.exporter.gone:
            raise KernelError("ENODEV", f"{self.exporter.name} is gone ({self.exporter.gone})")
        vma.vm_flags |= VM_DEVICE
        vma.vm_private_data = self.thing
        WIRINGS[self.exporter.wiring].sets(vma, self.exporter)
