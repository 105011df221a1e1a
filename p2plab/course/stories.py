"""The five-minute stories, one for each notebook: see :mod:`.beat`. A test checks each claim of each beat."""

from __future__ import annotations

from p2plab.core.errors import BadInput
from p2plab.course.beat import (
    TIME,
    AllKept,
    BeatFlies,
    BreaksNow,
    BytesLost,
    CallRuns,
    EntryIs,
    FiveMinutes,
    HoldsLock,
    LentTo,
    LoggedNow,
    NobodyTold,
    PageIs,
    SlotsShow,
    StageSays,
    StoryBeat,
    WaitsFor,
)

_ALL = (
    FiveMinutes(
        "00",
        "A page that was lent, taken back, and used all the same",
        (
            StoryBeat(
                "defrag-ignorant",
                14,
                "The GPU lent four slots of its BAR, and the NIC has written their addresses into its own table. From now "
                "on its device uses them and asks nobody.",
                (EntryIs("nic", 0, "right"), EntryIs("nic", 3, "right"), LentTo("nic", (3, 4, 5, 6))),
            ),
            StoryBeat(
                "defrag-ignorant",
                19,
                "The first page of the transfer has landed where it belongs. On its way it passed no CPU, and neither the "
                "process nor the GPU's driver saw it.",
                (LoggedNow("BeatLanded"), AllKept()),
            ),
            StoryBeat(
                "defrag-ignorant",
                24,
                "The GPU wants to move A, and the mmu notifier tells the NIC. The NIC's callback returns and has done "
                "nothing: the promise is broken here, and nothing is damaged yet.",
                (BreaksNow("obedience"), LoggedNow("NotifierStart"), BeatFlies("nic", 1)),
            ),
            StoryBeat(
                "defrag-ignorant",
                27,
                "The move: A is in slots 1 to 4 now. The NIC's table still has the addresses of slots 3 to 6, so all four "
                "entries are stale.",
                (
                    EntryIs("nic", 0, "stale"),
                    EntryIs("nic", 3, "stale"),
                    SlotsShow(("B[0]", "A[0]", "A[1]", "A[2]", "A[3]", "", "", "")),
                ),
            ),
            StoryBeat(
                "defrag-ignorant",
                34,
                "The beat for page 2 goes through slot 5, which shows C of another process by now. app2 has lost bytes, and "
                "nobody tells it.",
                (LoggedNow("BeatLanded"), BytesLost("C[0] of app2")),
            ),
            StoryBeat(
                "defrag-obedient",
                28,
                "The same move with a NIC that obeys: it cleared its table, waited for the last beat and gave the pages "
                "back, all before its callback returned. Only then does the GPU go on.",
                (LoggedNow("P2PUnmapped"), EntryIs("nic", 0, "none"), AllKept()),
            ),
        ),
    ),
    FiveMinutes(
        "01",
        "A vma is a promise, a page-table entry is a fact",
        (
            StoryBeat(
                "C6",
                2,
                "The process has a vma over two pages, and the CPU has an entry for neither: the dotted lines. A vma says "
                "what a touch would find; there is nothing in the page tables before the first touch.",
                (PageIs("app", 0, "A[0]", False), PageIs("app", 1, "A[1]", False), LoggedNow("VmaMapped")),
            ),
            StoryBeat(
                "C6",
                22,
                "The CPU read page 0: a fault, and the exporter's fault handler brought an entry in. Page 1 still has none, "
                "for each page faults by itself.",
                (PageIs("app", 0, "A[0]", True), PageIs("app", 1, "A[1]", False), LoggedNow("PageFault")),
            ),
            StoryBeat(
                "C6",
                32,
                "The exporter has taken the CPU's entry out again, and the vma is as it was. The next touch would fault "
                "once more.",
                (LoggedNow("PtesZapped"), PageIs("app", 0, "A[0]", False)),
            ),
            StoryBeat(
                "F8",
                25,
                "munmap: both pages are out of the tree of vmas, and nobody was told yet. The NIC's own table does not know of "
                "vmas, and still has both pages.",
                (LoggedNow("VmaUnmapped"), PageIs("app", 0, "", False), NobodyTold(), LentTo("nic", (2, 3))),
            ),
            StoryBeat(
                "F8",
                26,
                "Only now the notifier is called, from inside munmap. The exporter and the importer hear of an address "
                "range, never of a vma.",
                (LoggedNow("NotifierStart"), CallRuns("app", "nic", "invalidate_range_start")),
                picture=TIME,
            ),
        ),
    ),
    FiveMinutes(
        "02",
        "A small window before a large memory",
        (
            StoryBeat(
                "defrag-ignorant",
                0,
                "Eight slots of 4 KiB: the part of the GPU's memory that its BAR shows on the bus. A slot shows one frame "
                "or none, and the GPU decides which.",
                (SlotsShow(("B[0]", "", "", "A[0]", "A[1]", "A[2]", "A[3]", "")),),
            ),
            StoryBeat(
                "defrag-ignorant",
                27,
                "The GPU has programmed its aperture anew: slot 3 showed A[0] and shows A[2] now. A bus address names a "
                "slot, and is as good as what the slot shows.",
                (LoggedNow("SlotTaken"), SlotsShow(("B[0]", "A[0]", "A[1]", "A[2]", "A[3]", "", "", ""))),
            ),
            StoryBeat(
                "E14",
                12,
                "This GPU computes bus addresses from frame numbers, as if its BAR were as large as its memory. Some of the "
                "four addresses that it hands out lie beyond the end of the BAR.",
                (BreaksNow("inside-bar"), LoggedNow("P2PMapped")),
            ),
            StoryBeat(
                "E14",
                25,
                "A write to an address behind which nothing of the GPU is: it is lost. The NIC is told nothing, for a write "
                "on the bus has no answer.",
                (LoggedNow("BeatLanded"), StageSays("the write is lost")),
            ),
            StoryBeat(
                "C5",
                2,
                "Another GPU asks for a BAR as large as its memory. The bridge window above it has no room, so it gets "
                "-ENOSPC and its old BAR back.",
                (StageSays("asks for a larger BAR"),),
            ),
            StoryBeat(
                "C5",
                14,
                "Its driver did not look at that answer and lends addresses of the BAR that it asked for. They lie outside "
                "of the BAR that it has.",
                (BreaksNow("inside-bar"), LoggedNow("P2PMapped")),
            ),
        ),
    ),
    FiveMinutes(
        "03",
        "An address that does not arrive",
        (
            StoryBeat(
                "C4",
                19,
                "Two functions below one switch: the first beat went from port to port. The host bridge saw nothing of it.",
                (LoggedNow("BeatLanded"), EntryIs("nic", 1, "right"), AllKept()),
            ),
            StoryBeat(
                "C4",
                21,
                "Somebody sets the ACS redirect bit at the port above the NIC. The tree is the same, and requests now go up "
                "to the host bridge; both of the NIC's entries lead nowhere.",
                (StageSays("sets ACS redirect"), EntryIs("nic", 0, "stale"), EntryIs("nic", 1, "stale")),
            ),
            StoryBeat(
                "C4",
                23,
                "This host bridge is not known to carry requests between devices, and does not: the beat for page 1 is "
                "lost. What was right when the pages were mapped need not be right later.",
                (BreaksNow("address-works"), LoggedNow("BeatLanded")),
            ),
            StoryBeat(
                "E10",
                14,
                "Another machine: the NIC sits below a root port of its own. The GPU gave it bus addresses and never asked "
                "whether they work from there.",
                (LoggedNow("TranslationSet"), EntryIs("nic", 0, "stale")),
            ),
            StoryBeat(
                "E10",
                19,
                "Not one packet arrives. Nothing on the NIC's side tells this from a slow transfer.",
                (BreaksNow("address-works"), StageSays("the write is lost")),
            ),
            StoryBeat(
                "E10",
                9,
                "The good twin asks p2pdma for this pair first, and refuses with -EREMOTEIO. The importer knows it before "
                "it has built anything on the addresses.",
                (LoggedNow("P2PMapFailed"), StageSays("-EREMOTEIO"), AllKept()),
                {"driver": "good"},
            ),
        ),
    ),
    FiveMinutes(
        "04",
        "Who is told, and who is not",
        (
            StoryBeat(
                "defrag-obedient",
                24,
                "The exporter takes its pages away, and the kernel calls the listener in the exporter's own thread: the "
                "arrow from gpu to nic. Event and range come with the call.",
                (LoggedNow("NotifierStart"), CallRuns("gpu", "nic", "invalidate_range_start")),
                picture=TIME,
            ),
            StoryBeat(
                "defrag-obedient",
                26,
                "The callback sleeps until the last beat has landed. So the GPU's move waits, inside the NIC's code, "
                "for the NIC's hardware.",
                (WaitsFor("gpu", "nic_dma"), HoldsLock("gpu", "nic.lock"), BeatFlies("nic", 1)),
                picture=TIME,
            ),
            StoryBeat(
                "defrag-obedient",
                32,
                "The callback has returned, the entries are gone, and the invalidation is over. From here on the NIC may "
                "map again.",
                (LoggedNow("NotifierEnd"), EntryIs("nic", 0, "none")),
            ),
            StoryBeat(
                "F8",
                26,
                "munmap tells the same listener of the same pages; the event is UNMAP this time. The duty is the same.",
                (LoggedNow("NotifierStart"), StageSays("UNMAP"), CallRuns("app", "nic", "invalidate_range_start")),
                picture=TIME,
            ),
            StoryBeat(
                "F17",
                22,
                "The process makes its mapping read-only. The CPU has no entry that would have to change, so nobody is told "
                "anything.",
                (LoggedNow("ProtectionChanged"), NobodyTold(), PageIs("app", 0, "A[0]", False), BeatFlies("nic", 0)),
            ),
            StoryBeat(
                "F17",
                23,
                "The NIC's beat lands in memory that its process may no longer write. It obeyed every call that it got.",
                (BreaksNow("read-only-vma"), LoggedNow("BeatLanded")),
            ),
        ),
    ),
    FiveMinutes(
        "05",
        "Two callbacks, two promises",
        (
            StoryBeat(
                "defrag-obedient",
                9,
                "The importer asks through HMM, and the exporter's p2p_map is called: for this range, for this importer's "
                "device. The exporter may refuse, and nobody depends on the answer yet.",
                (CallRuns("nic", "gpu", "p2p_map"), HoldsLock("nic", "app.mmap_lock")),
                picture=TIME,
            ),
            StoryBeat(
                "defrag-obedient",
                11,
                "The exporter lends slots 3 to 6 and notes who has them. That is no pin: it may take them back whenever it "
                "wants.",
                (LoggedNow("Lent"), LentTo("nic", (3, 4, 5, 6))),
            ),
            StoryBeat(
                "defrag-obedient",
                28,
                "The first promise, obedience. Before its callback returns, the importer has cleared its table, waited for "
                "its last beat, and called p2p_unmap.",
                (
                    LoggedNow("P2PUnmapped"),
                    CallRuns("gpu", "nic", "invalidate_range_start"),
                    EntryIs("nic", 0, "none"),
                    AllKept(),
                ),
            ),
            StoryBeat(
                "defrag-obedient",
                44,
                "The second promise, predictability. What could be mapped once can be mapped again after the move, at other "
                "addresses.",
                (LoggedNow("P2PMapped"), LentTo("nic", (1, 2, 3, 4)), AllKept()),
            ),
            StoryBeat(
                "F8",
                30,
                "An importer that breaks the first one without a sound: it cleared and drained, and never called p2p_unmap. "
                "By the exporter's books it has the pages for ever.",
                (BreaksNow("obedience"), EntryIs("nic", 0, "none"), LentTo("nic", (2, 3))),
            ),
            StoryBeat(
                "E4",
                49,
                "An exporter that breaks the second one: the NIC maps again, as it was told to, and gets -ENOSPC. What "
                "could be mapped once cannot be mapped again.",
                (BreaksNow("predictability"), StageSays("-ENOSPC")),
            ),
        ),
    ),
    FiveMinutes(
        "06",
        "Three importers that mean well",
        (
            StoryBeat(
                "F12",
                26,
                "The GPU takes two pages back, and this NIC clears page 0 alone. Its entry for page 1 stays.",
                (
                    LoggedNow("TranslationCleared"),
                    EntryIs("nic", 0, "none"),
                    CallRuns("gpu", "nic", "invalidate_range_start"),
                ),
            ),
            StoryBeat(
                "F12",
                38,
                "The beat for page 1 lands in C[0] of another process. It was looked up long before; its entry should have "
                "been gone, and the beat drained.",
                (BreaksNow("no-stale-dma"), BytesLost("C[0] of app2")),
            ),
            StoryBeat(
                "F2",
                24,
                "This NIC clears its whole table and gives both pages back at once. One beat is still on the bus, and "
                "nothing can call it back.",
                (LoggedNow("P2PUnmapped"), EntryIs("nic", 0, "none"), BeatFlies("nic", 0)),
            ),
            StoryBeat(
                "F2",
                45,
                "Long after the move the late beat arrives, in A[1] where A[0] was meant. No entry of its table is stale; a "
                "beat on its way does not ask the table again.",
                (BreaksNow("no-stale-dma"), LoggedNow("BeatLanded"), EntryIs("nic", 0, "right")),
            ),
            StoryBeat(
                "F3",
                23,
                "This callback takes mmap_lock. munmap, which called it, holds that lock: the thread waits for itself, for "
                "ever.",
                (BreaksNow("no-deadlock"), WaitsFor("app", "app"), HoldsLock("app", "app.mmap_lock")),
                picture=TIME,
            ),
        ),
    ),
    FiveMinutes(
        "07",
        "What a move costs, and what a full aperture costs",
        (
            StoryBeat(
                "defrag-obedient",
                21,
                "Four slots are free, and no three of them side by side. C needs three in a row; nothing is pinned, so the "
                "GPU may move A.",
                (LoggedNow("JobBegun"), SlotsShow(("B[0]", "", "", "A[0]", "A[1]", "A[2]", "A[3]", ""))),
            ),
            StoryBeat(
                "defrag-obedient",
                37,
                "After the move there is room for C. The price was one callback and one map of the NIC.",
                (SlotsShow(("B[0]", "A[0]", "A[1]", "A[2]", "A[3]", "C[0]", "C[1]", "C[2]")), AllKept()),
            ),
            StoryBeat(
                "E6",
                28,
                "A GPU that keeps what it lent once: the second NIC gets -ENOSPC at set-up. That is an honest answer at a "
                "time when a user can be told, and who came first keeps the aperture.",
                (LoggedNow("P2PMapFailed"), StageSays("-ENOSPC")),
            ),
            StoryBeat(
                "E4",
                49,
                "A GPU that evicts and lends to whoever asks next: the refusal comes later, in the middle of work. "
                "This one breaks predictability.",
                (BreaksNow("predictability"), LoggedNow("P2PMapFailed")),
            ),
            StoryBeat(
                "E5",
                49,
                "A GPU that falls back to main memory: the NIC gets an address that works, and the job survives. It is no "
                "longer peer to peer, and the NIC cannot see that.",
                (LoggedNow("P2PMapped"), StageSays("0x100000000")),
            ),
        ),
    ),
    FiveMinutes(
        "08",
        "The one order that breaks it",
        (
            StoryBeat(
                "F10",
                12,
                "The NIC has its addresses in its hand and has not yet programmed its device. Its own table is empty.",
                (LoggedNow("P2PMapped"), EntryIs("nic", 0, "none")),
            ),
            StoryBeat(
                "F10",
                16,
                "In this very gap the GPU takes the range back. One switch from nic to gpu at the right moment is all that "
                "it takes.",
                (LoggedNow("NotifierStart"), CallRuns("gpu", "nic", "invalidate_range_start")),
                picture=TIME,
            ),
            StoryBeat(
                "F10",
                19,
                "The callback is right: it gives back what the exporter lent. It cannot reach what the mapping thread has "
                "in its hand, and that thread waits for the callback's lock.",
                (LoggedNow("P2PUnmapped"), WaitsFor("nic", "gpu"), AllKept()),
                picture=TIME,
            ),
            StoryBeat(
                "F10",
                31,
                "The mapping thread goes on and programs addresses that were taken back. They were given back at step 19.",
                (BreaksNow("programs-only-valid"), LoggedNow("TranslationSet"), EntryIs("nic", 0, "stale")),
            ),
            StoryBeat(
                "F10",
                32,
                "The good twin looks again under the lock, sees that something was invalidated meanwhile, and goes round "
                "once more. It programs nothing that was given back.",
                (LoggedNow("MapRetried"), AllKept()),
                {"driver": "good"},
            ),
        ),
    ),
    FiveMinutes(
        "09",
        "Two questions of the review, played",
        (
            StoryBeat(
                "wirings",
                2,
                "Who sets the callbacks? As the series was meant, the exporter does in its mmap: two optional members of "
                "its vm_ops.",
                (LoggedNow("OpsSet"), LoggedNow("VmaMapped")),
            ),
            StoryBeat(
                "wirings",
                9,
                "Who calls them? The importer does not: HMM finds the vma and calls p2p_map for it, under mmap_lock.",
                (CallRuns("nic", "gpu", "p2p_map"), HoldsLock("nic", "app.mmap_lock")),
                picture=TIME,
            ),
            StoryBeat(
                "wirings",
                28,
                "And p2p_unmap? The importer's own callback calls it, before it returns to the one who moves the pages.",
                (LoggedNow("P2PUnmapped"), CallRuns("gpu", "nic", "invalidate_range_start")),
                picture=TIME,
            ),
            StoryBeat(
                "C1",
                5,
                "The loop as it was posted, over ordinary and device memory in one range: five addresses of six come back, "
                "and three pages have none of their own.",
                (BreaksNow("hmm-complete"), StageSays("5 of 6")),
            ),
            StoryBeat(
                "C1",
                7,
                "Its unmap loop gives four pages back and leaves one. That page stays mapped for a device that has "
                "forgotten it.",
                (LoggedNow("HmmRangeUnmapped"), StageSays("leaves 5")),
            ),
        ),
    ),
    FiveMinutes(
        "10",
        "The same move under three designs",
        (
            StoryBeat(
                "design-dma-buf-dynamic",
                9,
                "dma-buf, dynamic: the exporter tells its importer by a call of its own, under the buffer's "
                "reservation lock. No mmu notifier and no address space take part.",
                (CallRuns("gpu", "nic", "invalidate_mappings"), HoldsLock("gpu", "A.resv")),
                picture=TIME,
            ),
            StoryBeat(
                "design-dma-buf-dynamic",
                14,
                "The importer gave its mapping back and the fences are signalled: the move is safe. The promise is the same "
                "as in 2019, and another lock guards it.",
                (LoggedNow("MoveEnded"), EntryIs("nic", 0, "none"), AllKept()),
            ),
            StoryBeat(
                "design-dma-buf-pinned",
                2,
                "dma-buf, pinned: this importer cannot be told, so it asks the exporter to keep the buffer where it is. The "
                "exporter may say no now, and not later.",
                (LoggedNow("Pinned"),),
            ),
            StoryBeat(
                "design-dma-buf-pinned",
                12,
                "The GPU wants its memory back, and the pin refuses the move: -EINVAL. The NIC goes on as if nothing had "
                "been asked.",
                (LoggedNow("StepEnded"), EntryIs("nic", 0, "right"), AllKept()),
            ),
            StoryBeat(
                "design-hmm-interval",
                18,
                "HMM with an interval notifier: the callback hears of its own range alone, and the page is ordinary memory "
                "with a struct page. It has to answer for one page.",
                (CallRuns("gpu", "nic", "invalidate"), LoggedNow("NotifierStart")),
                picture=TIME,
            ),
            StoryBeat(
                "design-hmm-interval",
                39,
                "After the move the NIC faulted the range anew, and has addresses of main memory again. The interval's "
                "sequence number tells it whether anything changed meanwhile.",
                (LoggedNow("TranslationSet"), AllKept()),
            ),
        ),
    ),
    FiveMinutes(
        "11",
        "What a machine decides",
        (
            StoryBeat(
                "E10",
                14,
                "Nothing on this side of the bus shows whether an address arrives: the table has two, and both lead "
                "nowhere. The tree and the host bridge decide that, and on your machine lspci shows them.",
                (LoggedNow("TranslationSet"), EntryIs("nic", 0, "stale"), EntryIs("nic", 1, "stale")),
            ),
            StoryBeat(
                "E10",
                9,
                "The exporter that asks gets the verdict before anything is mapped. p2plab reach gives you the same verdict "
                "for a pair of your own machine.",
                (LoggedNow("P2PMapFailed"), StageSays("-EREMOTEIO")),
                {"driver": "good"},
            ),
            StoryBeat(
                "C4",
                21,
                "One bit in a switch port decides it too. pci=disable_acs_redir= clears it at boot, and p2plab reach --boot "
                "says what that would change.",
                (StageSays("sets ACS redirect"), EntryIs("nic", 1, "stale")),
            ),
            StoryBeat(
                "C5",
                2,
                "The size of a BAR is asked for, and the window above may refuse it. p2plab machine says how much room "
                "yours has.",
                (StageSays("asks for a larger BAR"),),
            ),
        ),
    ),
    FiveMinutes(
        "12",
        "Four lines that are easy to forget",
        (
            StoryBeat(
                "F8",
                30,
                "Importer, first: p2p_unmap. Its hardware was stopped in time; the exporter's books never learn of it.",
                (BreaksNow("obedience"), LentTo("nic", (2, 3))),
            ),
            StoryBeat(
                "F2",
                24,
                "Importer, second: drain before you give back. An empty table stops the next beat, not the one that is on "
                "the bus.",
                (BeatFlies("nic", 0), EntryIs("nic", 0, "none"), LoggedNow("P2PUnmapped")),
            ),
            StoryBeat(
                "F10",
                31,
                "Importer, third: look again under your lock before you program. Between the answer and the device there is "
                "room for a whole invalidation.",
                (BreaksNow("programs-only-valid"), EntryIs("nic", 0, "stale")),
            ),
            StoryBeat(
                "E1",
                20,
                "Exporter: tell first, move then. This one moves and calls the notifier afterwards; its importer "
                "obeys at once, and too late.",
                (BreaksNow("told-before-moved"), NobodyTold(), EntryIs("nic", 0, "stale")),
            ),
            StoryBeat(
                "E3",
                35,
                "And let p2p_map wait while you move. This exporter answers from slots that it is about to take away.",
                (BreaksNow("no-map-while-moving"), LoggedNow("Lent")),
            ),
        ),
    ),
    FiveMinutes(
        "13",
        "A revoke that waits twice",
        (
            StoryBeat(
                "design-vfio-mmap",
                10,
                "A process maps a VFIO BAR through its dma-buf, and its first write faults. The fault handler decides "
                "whether it may bring an entry in.",
                (LoggedNow("PageFault"), PageIs("app", 0, "A[0]", False)),
            ),
            StoryBeat(
                "design-vfio-mmap",
                20,
                "The device is to be reset. Its importer is told under the reservation lock, and the driver waits for a "
                "beat that is on its way.",
                (WaitsFor("gpu", "nic_dma"), CallRuns("gpu", "nic", "invalidate_mappings"), BeatFlies("nic", 0)),
                picture=TIME,
            ),
            StoryBeat(
                "design-vfio-mmap",
                27,
                "Then the CPU's entries are zapped, too. A patch that forgets either user leaves somebody with an address.",
                (LoggedNow("CpuZapped"), PageIs("app", 0, "A[0]", False), EntryIs("nic", 0, "none")),
            ),
            StoryBeat(
                "D1",
                15,
                "The bug of 2026. The revoke has put its reference and waited for the completion, as it should.",
                (StageSays("A is revoked"), LoggedNow("RevokedNow")),
            ),
            StoryBeat(
                "D1",
                22,
                "The file is closed, and the clean-up puts the reference once more and waits again. The reference count "
                "warns, and nobody is left to complete anything.",
                (LoggedNow("RefcountWarned"),),
                picture=TIME,
            ),
            StoryBeat(
                "D1",
                33,
                "The second wait never ends. The repair arms reference and completion again before it waits.",
                (BreaksNow("no-deadlock"), StageSays("Deadlock")),
                picture=TIME,
            ),
        ),
    ),
)

#: Every story by its notebook's number.
STORIES: dict[str, FiveMinutes] = {story.number: story for story in _ALL}


def story_of(number: str | int) -> FiveMinutes:
    """The story of a notebook: ``"06"``, ``"6"`` or ``6``. BadInput for one that is not there."""
    wanted = str(number).strip().zfill(2)
    if wanted not in STORIES:
        raise BadInput(f"there is no story {str(number)[:20]!r}; there are {', '.join(STORIES)}")
    return STORIES[wanted]
