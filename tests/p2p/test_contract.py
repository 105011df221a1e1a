"""The contract, call by call: what p2p_map gives, what it refuses with which errno, and that a refusal changes nothing."""

import pytest

from p2plab.core.actors import run_alone
from p2plab.core.errors import KernelError
from p2plab.core.world import World
from p2plab.drivers.disasters import come_back, go_away, reset
from p2plab.drivers.gpu import Gpu
from p2plab.drivers.kernel_user import KernelUser
from p2plab.drivers.peer_gpu import LinkedGpu
from p2plab.mm import PROT_READ
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.contract import Peer, p2p_map, p2p_unmap
from p2plab.p2p.iommu import Iommu
from p2plab.p2p.memory import RAM_BASE
from tests.p2p.conftest import Kit, kinds

BAR = 0xE800_0000


def addresses(grants) -> list[int]:
    return [grant.address for grant in grants]


def test_one_address_a_page_in_virtual_order(kit):
    """Slots need not be neighbours; the array follows the virtual pages (invariant 8)."""

    async def story(k: Kit) -> None:
        for slot, page in ((6, 0), (1, 1), (4, 2), (3, 3)):
            k.aperture.take(slot, k.thing.frames[page])
        await k.mmap()
        assert addresses(await k.map()) == [BAR + slot * PAGE_SIZE for slot in (6, 1, 4, 3)]
        assert sorted(k.gpu.lent) == [("nic", k.base + n * PAGE_SIZE) for n in range(4)]

    kit().run(story)


def test_the_cpu_s_page_table_has_no_say(kit):
    """Nothing is mapped for the CPU, and p2p_map succeeds (invariant 3)."""

    async def story(k: Kit) -> None:
        await k.mmap()
        assert k.mm.page_table.get(k.base) is None
        assert len(await k.map()) == 4

    kit().run(story)


def test_a_map_is_no_pin(kit):
    """A lent object is evicted like any other; who has the addresses finds nothing there."""

    async def story(k: Kit) -> None:
        await k.mmap()
        grants = await k.map()
        await k.gpu.evict()
        assert k.aperture.slots_of(k.thing) == (None,) * 4
        assert k.fabric.access(grants[0].address, None, k.nic).frame == ""

    kit().run(story)


def test_with_an_iommu_an_address_is_of_one_device_only(kit):
    """The same number means something in its own device's table, and faults in another's (invariant 9)."""

    async def story(k: Kit) -> None:
        nic2 = Peer("nic2", k.nic.bdf)
        await k.mmap()
        mine = await k.map()
        assert k.fabric.access(mine[2].address, None, k.nic).frame == "A[2]"
        assert k.fabric.access(mine[2].address, None, nic2).frame == ""
        await k.map(peer=nic2)
        await k.unmap(mine)
        assert k.fabric.access(mine[2].address, None, k.nic).frame == ""
        assert k.fabric.access(mine[2].address, None, nic2).frame == "A[2]"

    world = kit(iommu=True).run(story)
    assert [str(event) for event in kinds(world, "IommuFault")] == [
        "IOMMU fault: nic2 reads 0xffbfd000",
        "IOMMU fault: nic reads 0xffbfd000",
    ]


def test_an_iova_that_came_back_is_given_out_again_the_last_one_first(kit):
    """Linux 6.12 gave two IOVAs back in the other order, so that a late write lands in the neighbour without a fault."""

    async def story(k: Kit) -> None:
        await k.mmap()
        before = await k.map()
        await k.unmap(before)
        after = await k.map()
        assert [grant.address for grant in after] == [grant.address for grant in reversed(before)]
        assert k.fabric.access(before[0].address, b"late...........", k.nic).frame == "A[3]"

    assert kinds(kit(iommu=True).run(story), "IommuFault") == []


def test_an_iova_is_only_ever_given_out_again_to_its_own_device(kit):
    """The tables are apart, and so is what comes back."""

    async def story(k: Kit) -> None:
        nic2 = Peer("nic2", k.nic.bdf)
        await k.mmap()
        await k.unmap(await k.map())
        theirs = await k.map(peer=nic2)
        assert [grant.address for grant in theirs] == sorted((grant.address for grant in theirs), reverse=True)

    kit(iommu=True).run(story)


def test_what_the_iommu_maps_for_reading_faults_on_a_write(kit):
    """DMA_TO_DEVICE gives an entry without the write bit: the write is lost, the bytes stay, a read arrives."""

    async def story(k: Kit) -> None:
        await k.mmap()
        grants = await k.map(write=False)
        assert k.fabric.access(grants[0].address, b"written........", k.nic).frame == ""
        assert k.fabric.access(grants[0].address, None, k.nic).before == b"A[0] of app....."

    world = kit(iommu=True).run(story)
    assert [str(event) for event in kinds(world, "IommuFault")] == ["IOMMU fault: nic writes 0xffbff000"]


def test_a_revoked_iova_stays_taken_until_its_importer_gives_it_back(kit):
    """Else the next mapping would get it, and giving the old one back would take that one out."""

    async def story(_: Kit) -> None:
        iommu = Iommu()
        first = iommu.map("nic", 0x1000)
        iommu.revoke((0x1000,))
        assert iommu.translate("nic", first) is None
        assert iommu.map("nic", 0x2000) != first
        iommu.unmap("nic", first)
        assert iommu.map("nic", 0x3000) == first

    kit(iommu=True).run(story)


def test_without_an_iommu_a_stale_address_damages(kit):
    """The same stale write faults with an IOMMU and lands in the next tenant without one."""

    def writes_after_the_move(k: Kit):
        async def story(_k: Kit) -> None:
            await k.mmap()
            grants = await k.map()
            await k.gpu.evict()
            k.aperture.place(k.memory.create("B", "app2", 4))
            k.landing = k.fabric.access(grants[1].address, b"stale write.....", k.nic)

        return story

    off, on = kit(), kit(iommu=True)
    off.run(writes_after_the_move(off))
    world = on.run(writes_after_the_move(on))
    assert (off.landing.frame, off.landing.owner, off.landing.before) == ("B[1]", "app2", b"B[1] of app2....")
    assert (on.landing.frame, len(kinds(world, "IommuFault"))) == ("", 1)


def test_main_memory_is_an_address_like_any_other(kit):
    """The policy `ram` lends what the importer cannot tell from a BAR; the bytes came along (invariant 10)."""

    async def story(k: Kit) -> None:
        k.gpu.policy = "ram"
        k.aperture.place(k.memory.create("B", "app2", 6))
        await k.mmap()
        grants = await k.map()
        assert addresses(grants) == [RAM_BASE + n * PAGE_SIZE for n in range(4)]
        assert k.fabric.access(grants[3].address, None, k.nic)[:3] == ("A[3]", "app", b"A[3] of app.....")
        await k.unmap(grants)
        assert list(k.aperture.shows).count(None) == 2

    kit(ram=4).run(story)


def test_a_link_address_means_something_to_its_pair_only(kit):
    """No slot is used, and nobody else understands it."""

    async def story(k: Kit) -> None:
        k.gpu.link = "nic"
        await k.mmap()
        grants = await k.map()
        assert list(k.aperture.shows) == [None] * 8
        assert k.fabric.access(grants[1].address, None, k.nic).frame == "A[1]"
        assert k.fabric.access(grants[1].address, None, k.far).frame == ""

    kit(LinkedGpu).run(story)


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        (0, 0, "-EINVAL: 0x7f5555400000..0x7f5555400000 is not a range of whole pages"),
        (2, 1, "-EINVAL: 0x7f5555402000..0x7f5555401000 is not a range of whole pages"),
        (0.5, 1, "-EINVAL: 0x7f5555400800..0x7f5555401000 is not a range of whole pages"),
        (0, 5, "-EFAULT: 0x7f5555400000..0x7f5555405000 is not inside one vma"),
        (-1, 1, "-EFAULT: 0x7f55553ff000..0x7f5555401000 is not inside one vma"),
        (9, 10, "-EFAULT: 0x7f5555409000..0x7f555540a000 is not inside one vma"),
    ],
)
def test_a_bad_range_is_refused_and_changes_nothing(kit, first, last, said):
    """Empty, reversed, unaligned, too long, below the vma, in a hole."""

    async def story(k: Kit) -> None:
        await k.mmap()
        before = (dict(k.gpu.lent), list(k.aperture.shows), list(k.gpu.recent))
        async with k.mm.mmap_lock.read():
            with pytest.raises(KernelError) as refusal:
                await p2p_map(k.mm, k.nic, k.base + int(first * PAGE_SIZE), k.base + int(last * PAGE_SIZE), True)
        assert str(refusal.value) == said
        assert (dict(k.gpu.lent), list(k.aperture.shows), list(k.gpu.recent)) == before

    kit().run(story)


class NoCallbacks(Gpu):
    """An exporter that sets neither callback."""

    def has(self, callback: str) -> bool:
        return not callback.startswith("p2p") and super().has(callback)


class OnlyMaps(Gpu):
    """An exporter that does not care to hear what comes back."""

    def has(self, callback: str) -> bool:
        return callback != "p2p_unmap" and super().has(callback)


def test_both_callbacks_are_optional(kit):
    """Without p2p_map: -EFAULT. Without p2p_unmap: giving back is no call at all (invariant 2)."""

    async def none(k: Kit) -> None:
        await k.mmap()
        assert await k.refused() == "-EFAULT: the vma at 0x7f5555400000 has no p2p_map"

    async def only_map(k: Kit) -> None:
        await k.mmap()
        await k.unmap(await k.map())

    assert [event.functions for event in kinds(kit(NoCallbacks).run(none), "OpsSet")] == [()]
    calls = [(e.target, e.function) for e in kinds(kit(OnlyMaps).run(only_map), "Called")]
    assert calls == [("hmm", "hmm_range_dma_map"), ("gpu", "p2p_map")]


def test_write_is_honoured(kit):
    """A read-only mapping is lent for reading, and refused for writing."""

    async def story(k: Kit) -> None:
        await k.mmap(prot=PROT_READ)
        assert await k.refused() == "-EPERM: gpu refused 0x7f5555400000..0x7f5555404000"
        assert len(await k.map(write=False)) == 4

    kit().run(story)


def test_permission_is_asked_at_every_map(kit):
    """Withdrawn after the first map: the second is refused; given back: it succeeds again (invariant 14)."""

    async def story(k: Kit) -> None:
        await k.mmap()
        await k.unmap(await k.map())
        k.gpu.permit(k.thing, False)
        assert (await k.refused()).startswith("-EACCES")
        k.gpu.permit(k.thing, True)
        assert len(await k.map()) == 4

    kit().run(story)


def test_a_device_out_of_reach_is_refused_first(kit):
    """Nothing is placed for somebody whose packets would not arrive."""

    async def story(k: Kit) -> None:
        await k.mmap()
        assert (await k.refused(peer=k.far)).startswith("-EREMOTEIO")
        assert list(k.aperture.shows) == [None] * 8

    kit().run(story)


def test_the_posted_test_of_reachability_refuses_everybody(kit):
    """Fault 1 of the series: pci_test_p2p answers false on every path."""

    async def story(k: Kit) -> None:
        await k.mmap()
        k.gpu.rules = "as-posted"
        assert (await k.refused()).startswith("-EREMOTEIO")
        k.gpu.rules = "rfc2019"
        assert len(await k.map()) == 4

    kit().run(story)


def test_after_a_disaster_a_map_fails_and_afterwards_succeeds(kit):
    """Suspend: -ENODEV while it lasts. Reset: -EIO, for the bytes are gone."""

    async def story(k: Kit) -> None:
        await k.mmap()
        await go_away(k.gpu, "suspend")
        assert (await k.refused()).startswith("-ENODEV")
        assert k.fabric.access(BAR, None, k.nic).frame == ""
        await come_back(k.gpu)
        await k.unmap(await k.map())
        before = list(k.memory.generation)
        await reset(k.gpu)
        assert (await k.refused()).startswith("-EIO")
        assert list(k.memory.generation)[:4] == [generation + 1 for generation in before[:4]]

    kit().run(story)


def test_a_destroyed_object_is_not_lent(kit):
    """-ENXIO, and its file is not opened again."""

    async def story(k: Kit) -> None:
        await k.mmap()
        k.gpu.destroy(k.thing)
        assert (await k.refused()).startswith("-ENXIO")
        with pytest.raises(KernelError, match="-ENOENT: gpu has no object A"):
            k.gpu.open_file("A")

    kit().run(story)


def test_moved_by_mremap_the_same_bytes_are_found(kit):
    """By vm_pgoff and not by address (invariant 6)."""

    async def story(k: Kit) -> None:
        await k.mmap()
        before = addresses(await k.map(1, 2))
        new = await k.mm.mremap(k.base, 4 * PAGE_SIZE, 4 * PAGE_SIZE, 3, k.base + 64 * PAGE_SIZE)
        k.base = new
        assert addresses(await k.map(1, 2)) == before

    kit().run(story)


def test_the_vma_pointer_of_a_grant_dies_with_the_vma(kit):
    """A use after free is reported, and ends as an oops would."""

    async def story(k: Kit) -> None:
        await k.mmap()
        grants = await k.map()
        await k.mm.munmap(k.base, 4 * PAGE_SIZE)
        with pytest.raises(RuntimeError, match="general protection fault"):
            await p2p_unmap(k.nic, grants)

    assert len(kinds(kit().run(story), "UseAfterFree")) == 1


def test_a_kernel_user_has_no_vma_to_ask_through(kit):
    """Logan Gunthorpe's objection: both callbacks begin with a vma."""

    def build(world: World) -> None:
        k = kit()
        k.build(world)
        user = KernelUser(world, "nvmet", k.nic.bdf, k.mm, k.fabric)

        async def story() -> None:
            with pytest.raises(KernelError, match="-EFAULT: nvmet has no vma through which to ask"):
                await user.map(k.base, k.base + PAGE_SIZE)

        run_alone(story)

    World(build)


def test_giving_back_twice_is_refused_and_changes_nothing(kit):
    """-EINVAL the second time, and for pages that another importer was lent."""

    async def story(k: Kit) -> None:
        await k.mmap()
        mine, other = await k.map(0, 2), await k.map(0, 2, peer=Peer("nic2", k.nic.bdf))
        await k.unmap(mine)
        before = dict(k.gpu.lent)
        assert await k.gpu.p2p_unmap(mine[0].vma, k.nic, k.base, k.base + 2 * PAGE_SIZE, addresses(mine)) == -22
        assert await k.gpu.p2p_unmap(mine[0].vma, k.nic, k.base, k.base + PAGE_SIZE, addresses(other)) == -22
        assert dict(k.gpu.lent) == before
        await k.unmap(mine)

    said = [event.result for event in kinds(kit().run(story), "Returned") if event.function == "p2p_unmap"]
    assert said == ["", "-22"]


def test_a_device_that_the_machine_does_not_have_is_refused(kit):
    """As the kernel refuses a client that is no PCI function."""

    async def story(k: Kit) -> None:
        await k.mmap()
        assert (await k.refused(peer=Peer("ghost", "0000:ff:1f.7"))).startswith("-EREMOTEIO")
        assert (await k.refused(peer=Peer("ghost", "usb1"))).startswith("-EREMOTEIO")

    kit().run(story)
