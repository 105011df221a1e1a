"""Pages: who copies when, what a fork shares, and what comes back from swap, huge pages and merging."""

import pytest

from p2plab.core.errors import KernelError
from p2plab.mm import (
    LINUX_6_1,
    LINUX_6_12,
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
    AddressSpace,
    File,
    Memory,
    PageFault,
    PfnFile,
    Signal,
    fallocate_punch_hole,
    ftruncate,
    get_user_pages,
    put_user_pages,
    task_numa_work,
    unmap_mapping_range,
)
from p2plab.mm.ksm import ksm_scan
from p2plab.mm.recorder import NotifierRecorder
from p2plab.mm.snapshot import snapshot

BASE = 0x7F00_4000_0000
PAGE = 4096
HUGE = 512
FIXED = MAP_PRIVATE | MAP_FIXED


def page(address):
    return (address - BASE) // PAGE


async def listening(mm):
    """A list that fills with (event, first page, last page + 1, lock) of every start from now on."""
    heard = []

    def note(call):
        if call["cb"] == "start":
            heard.append((call["event"], call["start"], call["end"], call["mmap_lock"]))

    await mm.mmu_notifier_register(NotifierRecorder(note, page))
    return heard


async def process(pages=4, *, write=True, memory=None):
    mm = AddressSpace(memory=memory)
    await mm.mmap(BASE, pages * PAGE, flags=FIXED)
    await mm.touch(BASE, BASE + pages * PAGE, write)
    return mm, await listening(mm)


def cleared(*pages, lock="none"):
    return [("CLEAR", number, number + 1, lock) for number in pages]


def test_a_child_that_lives_makes_the_parent_copy_and_one_that_died_does_not(alone):
    """The same write: a CLEAR for each page while the child shares it, nothing once it has exited."""

    async def story():
        mm, heard = await process(2)
        child = await mm.fork("child")
        assert heard == [("PROTECTION_PAGE", 0, 2, "write")]
        heard.clear()
        await mm.touch(BASE, BASE + PAGE, True)
        assert heard == cleared(0)
        await child.exit()
        await mm.touch(BASE, BASE + 2 * PAGE, True)
        assert heard == cleared(0)
        mm._check()

    alone(story)


def test_a_fork_of_device_memory_is_silent_and_the_child_reaches_the_same_frames(alone):
    """No event for a shared mapping (invariant 7); the entries are copied, since no fault could bring them back."""

    async def story():
        mm = AddressSpace()
        await mm.mmap(BASE, 2 * PAGE, flags=MAP_SHARED | MAP_FIXED, file=PfnFile("bar", 16, eager=True))
        heard = await listening(mm)
        child = await mm.fork("child")
        assert heard == []
        assert child.page_table.get(BASE).pfn == mm.page_table.get(BASE).pfn
        assert not child.notifier_subscriptions.list

    alone(story)


def test_the_page_of_zeroes_is_copied_on_the_first_write(alone):
    """A read maps one shared page of zeroes; the write then raises CLEAR with no lock held."""

    async def story():
        mm, heard = await process(2, write=False)
        assert mm.page_table.get(BASE).zero
        await mm.touch(BASE, BASE + 2 * PAGE, True)
        assert heard == cleared(0, 1)

    alone(story)


def test_a_pinned_page_stays_with_the_parent(alone):
    """fork copies a pinned page for the child at once, so the device goes on writing into the parent's memory."""

    async def story():
        mm, heard = await process(2)
        pinned = await get_user_pages(mm, BASE, 1, write=True, pin=True, longterm=True)
        child = await mm.fork("child")
        heard.clear()
        await mm.touch(BASE, BASE + 2 * PAGE, True)
        assert heard == cleared(1)
        assert mm.page_table.get(BASE).folio is pinned[0]
        assert child.page_table.get(BASE).folio is not pinned[0]
        put_user_pages(pinned, pin=True)
        mm._check()
        child._check()

    alone(story)


def test_get_user_pages_refuses_device_memory(alone):
    """EFAULT, for references and for pins (invariant 4); and fewer pages than asked for where a hole follows."""

    async def story():
        mm = AddressSpace()
        await mm.mmap(BASE, 2 * PAGE, flags=MAP_SHARED | MAP_FIXED, file=PfnFile("bar", 16))
        await mm.mmap(BASE + 8 * PAGE, 2 * PAGE, flags=FIXED)
        for pin in (False, True):
            with pytest.raises(KernelError, match="EFAULT"):
                await get_user_pages(mm, BASE, 1, write=True, pin=pin)
        got = await get_user_pages(mm, BASE + 8 * PAGE, 4, write=True)
        assert len(got) == 2
        put_user_pages(got)

    alone(story)


def test_a_private_copy_survives_a_punched_hole_but_not_a_truncation(alone):
    """Both are announced to a private mapping; only truncation takes the process's own copy."""

    async def story():
        mm = AddressSpace()
        file = File("file", 4)
        await mm.mmap(BASE, 4 * PAGE, flags=FIXED, file=file)
        await mm.touch(BASE, BASE + 4 * PAGE, True)
        heard = await listening(mm)
        await fallocate_punch_hole(file, 1, 2)
        assert heard == [("CLEAR", 1, 3, "none")]
        assert mm.page_table.get(BASE + PAGE) is not None
        heard.clear()
        await ftruncate(file, 2)
        assert heard == [("CLEAR", 2, 4, "none")] * 2
        assert mm.page_table.get(BASE + 2 * PAGE) is None
        with pytest.raises(Signal, match="SIGBUS"):
            await mm.touch(BASE + 3 * PAGE, BASE + 4 * PAGE, False)
        mm._check()

    alone(story)


def test_swap_out_and_in(alone):
    """Out: CLEAR page by page; in: nothing, and an exclusive page comes back writable."""

    async def story():
        mm, heard = await process(3, memory=Memory(swap=True))
        await mm.madvise(BASE, 3 * PAGE, "PAGEOUT")
        assert heard == cleared(0, 1, 2, lock="read")
        assert snapshot(mm).vmas[0].swapped == ((BASE, BASE + 3 * PAGE),)
        heard.clear()
        await mm.touch(BASE, BASE + PAGE, False)
        await mm.touch(BASE, BASE + 2 * PAGE, True)
        assert heard == []
        mm._check()

    alone(story)


def test_without_swap_only_freed_pages_go(alone):
    """MADV_PAGEOUT leaves anonymous pages, but takes those that MADV_FREE gave up and nobody wrote since."""

    async def story():
        mm, heard = await process(3)
        await mm.madvise(BASE, 2 * PAGE, "FREE")
        await mm.touch(BASE + PAGE, BASE + 2 * PAGE, True)
        heard.clear()
        await mm.madvise(BASE, 3 * PAGE, "PAGEOUT")
        assert heard == cleared(0, 1, lock="read")
        assert snapshot(mm).vmas[0].present == ((BASE + PAGE, BASE + 3 * PAGE),)
        heard.clear()
        await mm.madvise(BASE, 3 * PAGE, "PAGEOUT")
        assert heard == []
        mm._check()

    alone(story)


async def huge_process():
    mm = AddressSpace()
    await mm.mmap(BASE, 2 * HUGE * PAGE, flags=FIXED)
    await mm.madvise(BASE, 2 * HUGE * PAGE, "HUGEPAGE")
    await mm.touch(BASE, BASE + PAGE, True)
    return mm, await listening(mm)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            lambda mm: mm.munmap(BASE + 4 * PAGE, 4 * PAGE),
            [("CLEAR", 0, HUGE, "write"), ("UNMAP", 4, 8, "read")],
        ),
        (
            lambda mm: mm.mprotect(BASE + 4 * PAGE, 4 * PAGE, 1),
            [("CLEAR", 0, HUGE, "write"), ("PROTECTION_VMA", 4, 8, "write")],
        ),
        (
            lambda mm: mm.madvise(BASE + 4 * PAGE, 4 * PAGE, "DONTNEED"),
            [("CLEAR", 4, 8, "none"), ("CLEAR", 0, HUGE, "none")],
        ),
        (
            lambda mm: mm.mremap(BASE + 4 * PAGE, 4 * PAGE, 4 * PAGE, 3, BASE + 4 * HUGE * PAGE),
            [
                ("UNMAP", 4, 8, "write"),
                ("CLEAR", 0, HUGE, "write"),
                ("CLEAR", 0, HUGE, "write"),
                ("UNMAP", 4, 8, "write"),
            ],
        ),
    ],
    ids=["munmap", "mprotect", "dontneed", "mremap"],
)
def test_part_of_a_huge_page_costs_an_event_of_the_whole(alone, part, expected):
    """An importer hears of 2 MiB though only 16 KiB were meant: before (munmap) or inside (DONTNEED) the call's own."""

    async def story():
        mm, heard = await huge_process()
        await part(mm)
        assert heard == expected
        mm._check()

    alone(story)


def test_a_huge_page_shared_with_a_child_is_split_by_the_first_write(alone):
    """CLEAR of 2 MiB, then of each page written."""

    async def story():
        mm, heard = await huge_process()
        child = await mm.fork("child")
        heard.clear()
        await mm.touch(BASE, BASE + 2 * PAGE, True)
        assert heard == [("CLEAR", 0, HUGE, "none"), *cleared(0, 1)]
        await child.exit()
        mm._check()

    alone(story)


def test_merged_pages_are_announced_twice_and_the_first_once(alone):
    """ksmd: write-protect and replace, except for the page that stays; unmerging raises one CLEAR a page."""

    async def story():
        mm = AddressSpace()
        await mm.mmap(BASE, 3 * PAGE, flags=FIXED)
        await mm.madvise(BASE, 3 * PAGE, "MERGEABLE")
        await mm.touch(BASE, BASE + 3 * PAGE, True)
        heard = await listening(mm)
        await ksm_scan(mm)
        assert heard == cleared(1, 0, 0, 2, 2, lock="read")
        heard.clear()
        await mm.madvise(BASE, 3 * PAGE, "UNMERGEABLE")
        assert heard == cleared(0, 1, 2, lock="write")
        mm._check()

    alone(story)


def test_numa_balancing_asks_ordinary_memory_and_not_a_device(alone):
    """One scan: PROTECTION_VMA over the whole VMA, mmap_lock read; what recorded scans showed, each of them."""

    async def story():
        mm, heard = await process(4)
        await mm.mmap(BASE + 8 * PAGE, 2 * PAGE, flags=MAP_SHARED | MAP_FIXED, file=PfnFile("bar", 16, eager=True))
        await mm.mmap(BASE + 16 * PAGE, 2 * PAGE, flags=MAP_SHARED | MAP_FIXED, file=File("file", 16))
        heard.clear()
        await task_numa_work(mm)
        assert heard == [("PROTECTION_VMA", 0, 4, "read"), ("PROTECTION_VMA", 16, 18, "read")]

    alone(story)


def test_a_poisoned_page_is_gone_for_good(alone):
    """MADV_HWPOISON: CLEAR of the page with no lock held, and SIGBUS for whoever comes again."""

    async def story():
        mm, heard = await process(2)
        await mm.madvise(BASE, PAGE, "HWPOISON")
        assert heard == cleared(0)
        with pytest.raises(Signal, match="SIGBUS"):
            await mm.touch(BASE, BASE + PAGE, False)
        await mm.munmap(BASE, 2 * PAGE)
        mm._check()

    alone(story)


def test_an_access_that_ends_in_a_signal_leaves_page_tables(alone):
    """6.12 then announces an mprotect there, though no page was ever mapped."""

    async def story():
        mm = AddressSpace()
        await mm.mmap(BASE, 4 * PAGE, flags=MAP_SHARED | MAP_FIXED, file=File("empty", 0))
        heard = await listening(mm)
        await mm.mprotect(BASE, PAGE, 1)
        assert heard == []
        with pytest.raises(Signal, match="SIGBUS"):
            await mm.touch(BASE, BASE + PAGE, False)
        await mm.mprotect(BASE, 2 * PAGE, 3)
        assert heard == [("PROTECTION_VMA", 0, 1, "write")]

    alone(story)


def test_the_exporter_finds_every_mapping_in_the_order_of_offsets_and_of_their_making(alone):
    """unmap_mapping_range walks the file's VMAs: by offset, and the older first where offsets are equal."""

    async def story():
        mm = AddressSpace()
        bar = PfnFile("bar", 16)
        for start, pgoff in ((32, 4), (64, 0), (0, 4)):
            await mm.mmap(BASE + start * PAGE, 4 * PAGE, flags=MAP_SHARED | MAP_FIXED, file=bar, pgoff=pgoff)
        heard = await listening(mm)
        await unmap_mapping_range(bar.f_mapping, 2, 5)
        assert heard == [("CLEAR", 66, 68, "none"), ("CLEAR", 32, 34, "none"), ("CLEAR", 0, 2, "none")]
        mm._check()

    alone(story)


@pytest.mark.parametrize(("kernel", "first"), [(LINUX_6_12, -4), (LINUX_6_1, 0)], ids=["6.12", "6.1"])
def test_a_move_between_alike_places_is_announced_from_the_edge_below(alone, kernel, first):
    """Old and new place alike within 2 MiB, nothing else there: 6.12 moves whole tables, and its event starts lower."""

    async def story():
        mm = AddressSpace(kernel=kernel)
        start, length = BASE + 4 * PAGE, 2 * HUGE * PAGE
        await mm.mmap(start, length, flags=FIXED)
        await mm.touch(start, start + PAGE, True)
        heard = []
        note = lambda call: call["cb"] == "start" and heard.append((call["event"], call["start"], call["end"]))  # noqa: E731
        await mm.mmu_notifier_register(NotifierRecorder(note, lambda address: (address - start) // PAGE))
        await mm.mremap(start, length, length, 3, start + 16 * HUGE * PAGE)
        assert heard == [("UNMAP", first, 2 * HUGE), ("UNMAP", 0, 2 * HUGE)]
        assert snapshot(mm).vmas[0].present == ((start + 16 * HUGE * PAGE, start + 16 * HUGE * PAGE + PAGE),)
        mm._check()

    alone(story)


def test_a_page_that_is_alone_again_is_reused_and_the_log_says_so(alone):
    """Once the child is gone the parent's write copies nothing and clears nothing; it is a fault all the same."""

    async def story():
        mm, _ = await process(1)
        child = await mm.fork("child")
        await child.exit()
        await mm.touch(BASE, BASE + PAGE, True)

    faults = [entry.event for entry in alone(story).log if isinstance(entry.event, PageFault)]
    assert [(fault.write, fault.how) for fault in faults] == [
        (True, "a new page"),
        (True, "the page is this process's alone, and is reused"),
    ]
