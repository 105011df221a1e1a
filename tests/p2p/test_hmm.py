"""HMM's side: the posted loops with their numbers, the same live on vmas, and each fault on its shortest input."""

from collections.abc import Iterator
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2plab.core.errors import KernelError
from p2plab.drivers.gpu import Gpu
from p2plab.mm import MAP_SHARED, PROT_READ
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.contract import Peer
from p2plab.p2p.devmem import HmmDevmem
from p2plab.p2p.hmm import Hmm, HmmRange
from p2plab.p2p.memory import RAM_BASE
from p2plab.p2p.posted_loops import UNSET, PostedFault, map_loop, unmap_loop
from tests.p2p.conftest import Kit, kinds

POSTED = frozenset(PostedFault)


def test_the_posted_loops_give_the_numbers_of_a_transcription_of_the_patches():
    """Four oracles: which main-memory pages are mapped or unmapped, how many are counted, which slot is passed."""
    first, second = map_loop("DDDDRRRR", POSTED), map_loop("RRDDRR", POSTED)
    assert (first.ram, first.counted) == ((5, 6, 7), 7)
    assert (second.ram, second.counted, second.runs) == ((0, 1, 5), 5, ((2, 0, 2),))
    assert unmap_loop("RRPPPPRR", POSTED).ram == (0, 1)
    assert unmap_loop("PPPPRRRR", POSTED).ram == (4, 5, 6, 7)


@given(st.text("RDP", min_size=1, max_size=12))
def test_as_intended_each_page_is_taken_once(pages):
    """Map: every page is counted and every run goes to its own slot. Unmap: every page comes back and none is marked."""
    mapped, unmapped = map_loop(pages), unmap_loop(pages)
    runs = [page for start, slot, length in mapped.runs for page in range(start, start + length) if slot == start]
    assert sorted([*mapped.ram, *runs]) == [n for n, kind in enumerate(pages) if kind != "P"]
    assert mapped.returned == len(pages)
    assert sorted([*unmapped.ram, *unmapped.device]) == list(range(len(pages)))
    assert unmapped.marked == ()


def shortest_input(fault: PostedFault, longest: int = 6) -> str | None:
    """The shortest range for which this fault changes what a loop does; None if none is so short."""
    for pages in words(longest):
        for loop in (map_loop, unmap_loop):
            if loop(pages, frozenset({fault})) != loop(pages):
                return pages
    return None


def words(longest: int) -> Iterator[str]:
    for length in range(1, longest + 1):
        yield from ("".join(letters) for letters in product("RDP", repeat=length))


def test_the_shortest_range_that_shows_a_fault_is_found_by_trying_all():
    """No shorter one shows it; faults that no range shows are described in words."""
    assert {fault: shortest_input(fault) for fault in PostedFault} == {
        **dict.fromkeys(PostedFault),
        PostedFault.SLOT_ZERO: "RD",
        PostedFault.SKIPS_A_PAGE: "DR",
        PostedFault.SKIPS_IN_UNMAP: "RDR",
        PostedFault.NOT_RESET: "D",
        PostedFault.UNSET_RESULT: "P",
    }
    for fault in PostedFault:
        if found := shortest_input(fault):
            assert len(fault.shortest) == len(found)


class Live:
    """A range of pages laid out in a process, and HMM with some faults on."""

    def __init__(self, k: Kit, word: str, *faults: PostedFault, refuses: bool = False) -> None:
        self.k, self.word = k, word
        self.hmm = Hmm(HmmDevmem(k.gpu, k.fabric.ram, refuses), frozenset(faults))
        self.daddrs = [0] * len(word)

    async def lay_out(self, prot: int = 3) -> None:
        """One ordinary vma under everything, device vmas over the P's, holes at the underscores."""
        k = self.k
        k.aperture.place(k.thing)
        for number, kind in enumerate(self.word):
            page = k.base + number * PAGE_SIZE
            if kind == "P":
                await k.mm.mmap(page, PAGE_SIZE, prot, MAP_SHARED, k.gpu.open_file("A"), self.word[:number].count("P"))
            elif kind != "_":
                await k.mm.mmap(page, PAGE_SIZE)
            if kind == "D":
                self.hmm.devmem.put(page, k.thing, number % 4)
        self.range = HmmRange(k.mm, k.base, k.base + len(self.word) * PAGE_SIZE)

    async def map(self) -> int:
        async with self.k.mm.mmap_lock.read():
            return await self.hmm.hmm_range_dma_map(self.range, self.k.nic, self.daddrs)

    async def unmap(self) -> None:
        await self.hmm.hmm_range_dma_unmap(self.range, self.k.nic, self.daddrs)

    def where(self) -> str:
        """What each address is: main memory, a slot, or nothing."""
        return "".join("." if not a else "R" if a >= RAM_BASE else "B" for a in self.daddrs)


def run(kit: type[Kit], word: str, story, *faults: PostedFault, refuses: bool = False, prot: int = 3):
    k = kit(ram=12)

    async def job(_k: Kit) -> None:
        live = Live(k, word, *faults, refuses=refuses)
        await live.lay_out(prot)
        await story(live)

    return k.run(job)


def test_one_call_maps_ordinary_and_device_pages_and_one_call_takes_all_back(kit):
    """As intended, over the four kinds of range that the oracles name."""
    for word in ("DDDDRRRR", "RRDDRR", "RRPPPPRR", "PPPPRRRR"):

        async def story(live: Live, word: str = word) -> None:
            assert await live.map() == len(word)
            assert live.where() == word.replace("D", "B").replace("P", "B")
            await live.unmap()
            await live.unmap()
            assert live.where() == "." * len(word)

        world = run(kit, word, story)
        unmaps = [e.end - e.start for e in kinds(world, "P2PUnmapped")]
        assert sum(unmaps) == word.count("P") * PAGE_SIZE


@pytest.mark.parametrize(
    ("word", "addresses", "counted"),
    [("DDDDRRRR", "BBBB.RRR", 7), ("RRDDRR", "BB...R", 5)],
)
def test_as_posted_the_live_loop_leaves_the_same_holes(kit, word, addresses, counted):
    """The device run lands in slot 0, and the page after it gets nothing."""

    async def story(live: Live) -> None:
        assert await live.map() == counted
        assert live.where() == addresses

    run(kit, word, story, PostedFault.SLOT_ZERO, PostedFault.SKIPS_A_PAGE)


def test_no_unwind_leaks_what_was_mapped_before_the_error(kit):
    """A device page, then a hole: as intended the page is given back before the error is returned."""

    async def story(live: Live) -> None:
        with pytest.raises(KernelError, match="-EFAULT: there is no vma"):
            await live.map()

    for faults, given_back in (((), 1), ((PostedFault.NO_UNWIND,), 0)):
        world = run(kit, "P_", story, *faults)
        assert (len(kinds(world, "P2PMapped")), len(kinds(world, "P2PUnmapped"))) == (1, given_back)


def test_not_reset_gives_a_page_back_twice(kit):
    """Two unmaps in a row: once as intended, twice as posted."""

    async def story(live: Live) -> None:
        await live.map()
        await live.unmap()
        await live.unmap()

    for faults, times in (((), 1), ((PostedFault.NOT_RESET,), 2)):
        assert len(kinds(run(kit, "P", story, *faults), "P2PUnmapped")) == times


def test_unset_result_returns_a_variable_that_was_never_set(kit):
    """A range of device pages only."""

    async def story(live: Live) -> None:
        assert await live.map() == UNSET

    run(kit, "P", story, PostedFault.UNSET_RESULT)


class NeverLooks(Gpu):
    """An exporter that leaves the question of writing to its caller, whose calls are those of the posted series."""

    wiring = "as-posted"

    def check(self, vma, write) -> None:
        super().check(vma, False)


def test_no_write_check_lets_a_read_only_vma_be_mapped_for_writing(kit):
    """As intended HMM refuses, whatever the exporter thinks; as posted it is up to the exporter."""

    class Careless(kit):
        def __init__(self, **more) -> None:
            super().__init__(NeverLooks, **more)

    async def refused(live: Live) -> None:
        with pytest.raises(KernelError, match="-EPERM"):
            await live.map()

    async def lent(live: Live) -> None:
        assert await live.map() == 1

    run(Careless, "P", refused, prot=PROT_READ)
    run(Careless, "P", lent, PostedFault.NO_WRITE_CHECK, prot=PROT_READ)


def test_vma_above_hole_asks_the_vma_above_a_hole(kit):
    """As posted p2p_map is asked for pages below its vma; as intended the hole is -EFAULT."""

    async def story(live: Live) -> None:
        with pytest.raises(KernelError):
            await live.map()

    asked = kinds(run(kit, "_P", story, PostedFault.VMA_ABOVE_HOLE), "MapAsked")
    assert [(event.start < event.vm_start) for event in asked] == [True]
    assert kinds(run(kit, "_P", story), "MapAsked") == []


def test_page_shifts_mixed_writes_beyond_the_address_array(kit):
    """One entry of 8 KiB is two pages for a loop that counts in pages."""

    async def story(live: Live) -> None:
        k = live.k
        live.range = HmmRange(k.mm, k.base, k.base + 2 * PAGE_SIZE, page_shift=13)
        live.daddrs = [0]
        if PostedFault.PAGE_SHIFTS_MIXED in live.hmm.faults:
            with pytest.raises(OverflowError, match="beyond an array of 1"):
                await live.hmm._ask(live.range, k.mm.vmas[0], k.nic, k.base, k.base + 2 * PAGE_SIZE, live.daddrs)
        else:
            await live.hmm._ask(live.range, k.mm.vmas[0], k.nic, k.base, k.base + 2 * PAGE_SIZE, live.daddrs)
            assert live.where() == "B"

    for faults in ((), (PostedFault.PAGE_SHIFTS_MIXED,)):
        run(kit, "PP", story, *faults)


def test_a_callback_that_maps_nothing_sends_the_pages_to_main_memory(kit):
    """Zero or less is never an error of its own (invariant 49)."""

    async def story(live: Live) -> None:
        assert await live.map() == 4
        assert live.where() == "RRRR"

    run(kit, "RDDR", story, refuses=True)


def test_snapshot_and_fault_refuse_a_device_vma_and_fault_brings_pages_home(kit):
    """-EFAULT with or without p2p_map; a device-private page migrates, so that the CPU can see it (invariant 2)."""

    async def ordinary(live: Live) -> None:
        assert live.hmm.hmm_range_snapshot(live.range) == ["ram", "device-private"]
        assert await live.hmm.hmm_range_fault(live.range) == ["ram", "ram"]

    async def device(live: Live) -> None:
        with pytest.raises(KernelError, match=r"-EFAULT: the vma at .* is a device's"):
            live.hmm.hmm_range_snapshot(live.range)
        with pytest.raises(KernelError, match=r"-EFAULT: the vma at .* is a device's"):
            await live.hmm.hmm_range_fault(live.range)

    run(kit, "RD", ordinary)
    run(kit, "RP", device)


def test_the_exporter_checks_that_pages_are_its_own(kit):
    """The callback stops at the first page that is not in its device's memory."""

    async def story(live: Live) -> None:
        nic = Peer("nic", live.k.nic.bdf)
        assert live.hmm.devmem.p2p_map(nic, live.k.base, 4)[0] == 2

    run(kit, "DDRR", story)
