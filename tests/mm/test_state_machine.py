"""All operations in any order, one thread or two at once: after each the address space, and its child's, is consistent."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from p2plab.core.actors import idle
from p2plab.core.errors import KernelError
from p2plab.core.schedule import by_seed, follow, straight
from p2plab.core.world import World
from p2plab.mm import (
    LINUX_6_1,
    LINUX_6_12,
    LINUX_7_3,
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
    RFC2019,
    AddressSpace,
    File,
    Memory,
    PfnFile,
    Signal,
    clear_refs,
    fallocate_punch_hole,
    ftruncate,
    get_user_pages,
    mmu_interval_notifier_insert,
    oom_reap,
    put_user_pages,
    task_numa_work,
    unmap_mapping_range,
    zap_vma_ptes,
)
from p2plab.mm.khugepaged import khugepaged_scan
from p2plab.mm.ksm import ksm_scan
from p2plab.mm.migrate import mbind, migrate_pages
from p2plab.mm.recorder import IntervalRecorder, NotifierRecorder
from p2plab.mm.snapshot import snapshot
from p2plab.mm.sys_madvise import ADVICE, FLAG_ADVICE, OTHER_ADVICE

BASE = 0x7F00_0000_0000
PAGE = 4096
HUGE = 512
#: Interesting pages: a small mapping, both sides of a 2 MiB edge, a whole huge page
PAGES = st.one_of(st.integers(0, 24), st.sampled_from([HUGE - 4, HUGE, HUGE + 4, 2 * HUGE, 2 * HUGE + 100]))
LENGTHS = st.one_of(st.integers(0, 18), st.sampled_from([HUGE, HUGE + 16]))
KINDS = ("anon", "shared", "file", "file_shared", "device", "device_eager")


#: What two threads do at once: a name and its numbers
AT_ONCE = st.tuples(
    st.sampled_from(
        ["munmap", "mprotect", "mremap", "mmap", "touch", "dontneed", "free", "pageout", "unmaps", "truncate"]
    ),
    PAGES,
    st.integers(1, 18),
    st.integers(0, 3),
    PAGES,
)


class Memories(RuleBasedStateMachine):
    """One process of two threads, at most one child, two files and two devices."""

    def run(self, job: Any) -> str:
        """Let the process do it; what it answered."""
        self.jobs.append(job)
        follow(self.world, straight)
        assert self.world.stuck is None
        crash = self.world.actors["process"].crash
        assert crash is None, repr(crash)
        return self.answers.pop()

    @initialize(
        kernel=st.sampled_from([LINUX_7_3, LINUX_6_12, LINUX_6_1, RFC2019]),
        swap=st.booleans(),
        refuse=st.booleans(),
    )
    def start(self, kernel: Any, swap: bool, refuse: bool) -> None:
        self.jobs: list[Any] = []
        self.jobs_of_b: list[Any] = []
        self.answers: list[str] = []
        self.heard: list[dict[str, Any]] = []
        self.child: AddressSpace | None = None
        self.pinned: list[Any] = []

        async def works_on(jobs: list[Any]) -> None:
            while True:
                await idle(lambda: jobs)
                try:
                    await jobs.pop()()
                    self.answers.append("")
                except KernelError as error:
                    self.answers.append(error.name)
                except Signal as signal:
                    self.answers.append(signal.name)

        def build(world: World) -> None:
            self.mm = AddressSpace("mm", kernel, Memory(swap=swap))
            self.files = {
                "file": File("file", 64),
                "file_shared": File("other", 64),
                "device": PfnFile("bar", 4096),
                "device_eager": PfnFile("bar2", 4096, eager=True),
            }
            world.actor("process", lambda: works_on(self.jobs))
            world.actor("thread", lambda: works_on(self.jobs_of_b))

        self.world = World(build)
        recorder = NotifierRecorder(self.heard.append, lambda address: (address - BASE) // PAGE)
        self.run(lambda: self.mm.mmu_notifier_register(recorder))
        if kernel.interval_notifiers:
            node = IntervalRecorder(self.heard.append, lambda address: address, refuse)
            self.run(lambda: mmu_interval_notifier_insert(node, self.mm, BASE, 16 * PAGE))
        self.run(lambda: self.mm.mmap(BASE, 16 * PAGE, flags=MAP_PRIVATE | MAP_FIXED))

    def unchanged_if_refused(self, job: Any) -> None:
        """An operation of which the kernel undoes everything, or begins nothing, when it fails."""
        before = snapshot(self.mm)
        if self.run(job):
            assert snapshot(self.mm) == before

    @rule(page=PAGES, length=LENGTHS, kind=st.sampled_from(KINDS))
    def mmap(self, page: int, length: int, kind: str) -> None:
        flags = MAP_FIXED | (MAP_PRIVATE if kind in ("anon", "file") else MAP_SHARED)
        file = self.files.get(kind)
        where = BASE + page * PAGE
        self.unchanged_if_refused(lambda: self.mm.mmap(where, length * PAGE, 3, flags, file, page % 32 if file else 0))

    @rule(length=LENGTHS)
    def mmap_anywhere(self, length: int) -> None:
        self.unchanged_if_refused(lambda: self.mm.mmap(None, length * PAGE))

    @rule(page=PAGES, length=LENGTHS, odd=st.sampled_from([0, 0, 0, 7]))
    def munmap(self, page: int, length: int, odd: int) -> None:
        self.unchanged_if_refused(lambda: self.mm.munmap(BASE + page * PAGE + odd, length * PAGE))

    @rule(page=PAGES, length=LENGTHS, prot=st.sampled_from([0, 1, 3]))
    def mprotect(self, page: int, length: int, prot: int) -> None:
        self.run(lambda: self.mm.mprotect(BASE + page * PAGE, length * PAGE, prot))

    @rule(page=PAGES, old=LENGTHS, new=LENGTHS, to=PAGES, flags=st.sampled_from([0, 1, 3, 5, 7, 2]))
    def mremap(self, page: int, old: int, new: int, to: int, flags: int) -> None:
        new = old if flags & 4 else new
        job = lambda: self.mm.mremap(BASE + page * PAGE, old * PAGE, new * PAGE, flags, BASE + to * PAGE)  # noqa: E731
        if flags & 2:
            self.run(job)  # what was at the destination is gone even if the move is refused then
        else:
            self.unchanged_if_refused(job)

    @rule(page=PAGES, length=LENGTHS, advice=st.sampled_from([*ADVICE, *FLAG_ADVICE, *OTHER_ADVICE]))
    def madvise(self, page: int, length: int, advice: str) -> None:
        self.run(lambda: self.mm.madvise(BASE + page * PAGE, length * PAGE, advice))

    @rule(page=PAGES, length=LENGTHS, lock=st.booleans())
    def mlock(self, page: int, length: int, lock: bool) -> None:
        call = self.mm.mlock if lock else self.mm.munlock
        self.run(lambda: call(BASE + page * PAGE, length * PAGE))

    @rule(page=PAGES, length=st.integers(0, 18), write=st.booleans())
    def touch(self, page: int, length: int, write: bool) -> None:
        self.run(lambda: self.mm.touch(BASE + page * PAGE, BASE + (page + length) * PAGE, write))

    @rule(a=AT_ONCE, b=AT_ONCE, seed=st.integers(0, 1000))
    def two_threads_at_once(self, a: Any, b: Any, seed: int) -> None:
        """In any order of their steps, both come to an end, and what they leave is consistent."""
        self.jobs.append(self.job_of(a))
        self.jobs_of_b.append(self.job_of(b))
        follow(self.world, by_seed(seed))
        assert self.world.stuck is None, self.world.stuck
        assert [repr(actor.crash) for actor in self.world.actors.values() if actor.crash] == []
        assert len(self.answers) == 2
        self.answers.clear()

    def job_of(self, what: tuple[str, int, int, int, int]) -> Any:
        name, page, pages, number, to = what
        where, length = BASE + page * PAGE, pages * PAGE
        kind = KINDS[number]
        mm, file = self.mm, self.files.get(kind)
        flags = MAP_FIXED | (MAP_PRIVATE if kind in ("anon", "file") else MAP_SHARED)
        jobs = {
            "munmap": lambda: mm.munmap(where, length),
            "mprotect": lambda: mm.mprotect(where, length, (0, 1, 3, 3)[number]),
            "mremap": lambda: mm.mremap(where, length, length, 3, BASE + to * PAGE),
            "mmap": lambda: mm.mmap(where, length, 3, flags, file, page % 32 if file else 0),
            "touch": lambda: mm.touch(where, where + length, bool(number % 2)),
            "dontneed": lambda: mm.madvise(where, length, "DONTNEED"),
            "free": lambda: mm.madvise(where, length, "FREE"),
            "pageout": lambda: mm.madvise(where, length, "PAGEOUT"),
            "unmaps": lambda: unmap_mapping_range(self.files["device"].f_mapping, number * 4, number * 4 + pages),
            "truncate": lambda: ftruncate(self.files["file_shared"], number * 9),
        }
        return jobs[name]

    @precondition(lambda self: self.child is None)
    @rule()
    def fork(self) -> None:
        async def job() -> None:
            self.child = await self.mm.fork("child")

        self.run(job)

    @precondition(lambda self: self.child is not None)
    @rule(page=PAGES, length=st.integers(1, 18), write=st.booleans())
    def child_touches(self, page: int, length: int, write: bool) -> None:
        child = self.child
        self.run(lambda: child.touch(BASE + page * PAGE, BASE + (page + length) * PAGE, write))

    @precondition(lambda self: self.child is not None)
    @rule()
    def child_exits(self) -> None:
        child, self.child = self.child, None
        self.run(child.exit)
        assert not child.page_table.pmds

    @rule(page=PAGES, count=st.integers(1, 8), write=st.booleans(), pin=st.booleans())
    def get_user_pages(self, page: int, count: int, write: bool, pin: bool) -> None:
        async def job() -> None:
            got = await get_user_pages(self.mm, BASE + page * PAGE, count, write, pin=pin, longterm=pin)
            if pin:
                self.pinned += got
            else:
                put_user_pages(got)

        self.run(job)

    @rule()
    def unpin(self) -> None:
        put_user_pages(self.pinned, pin=True)
        self.pinned.clear()

    @rule(name=st.sampled_from(["file", "file_shared"]), pages=st.integers(0, 64))
    def ftruncate(self, name: str, pages: int) -> None:
        self.run(lambda: ftruncate(self.files[name], pages))

    @rule(name=st.sampled_from(["file", "file_shared", "device"]), first=st.integers(0, 40), pages=st.integers(0, 9))
    def punch_hole(self, name: str, first: int, pages: int) -> None:
        self.unchanged_if_refused(lambda: fallocate_punch_hole(self.files[name], first, pages))

    @rule(name=st.sampled_from(["device", "device_eager", "file"]), first=st.integers(0, 40), pages=st.integers(0, 9))
    def exporter_unmaps(self, name: str, first: int, pages: int) -> None:
        self.run(lambda: unmap_mapping_range(self.files[name].f_mapping, first, first + pages - 1))

    @rule(page=PAGES, length=LENGTHS)
    def exporter_zaps(self, page: int, length: int) -> None:
        async def job() -> None:
            async with self.mm.mmap_lock.read():
                vma = self.mm.find_vma(BASE + page * PAGE)
                if vma is not None:
                    await zap_vma_ptes(vma, BASE + page * PAGE, BASE + (page + length) * PAGE)

        self.run(job)

    @rule(value=st.sampled_from([0, 1, 4]))
    def clear_refs(self, value: int) -> None:
        self.unchanged_if_refused(lambda: clear_refs(self.mm, value))

    @rule(page=PAGES, length=LENGTHS, node=st.sampled_from([None, 0, 1]), everybody=st.booleans())
    def mbind(self, page: int, length: int, node: int | None, everybody: bool) -> None:
        where = BASE + page * PAGE
        self.unchanged_if_refused(lambda: mbind(self.mm, where, length * PAGE, node, move=True, move_all=everybody))

    @rule(
        which=st.sampled_from([ksm_scan, khugepaged_scan, task_numa_work, oom_reap, lambda mm: migrate_pages(mm, 0, 1)])
    )
    def the_kernel_comes_by(self, which: Any) -> None:
        self.run(lambda: which(self.mm))

    @invariant()
    def consistent(self) -> None:
        """VMAs sorted and disjoint, entries inside VMAs, the reverse map exact, and every start has its end."""
        if not hasattr(self, "mm"):
            return
        self.mm._check()
        if self.child is not None:
            self.child._check()
        blocking = [call for call in self.heard if call["cb"] in ("start", "end")]
        assert sum(1 if call["cb"] == "start" else -1 for call in blocking) == 0
        self.heard.clear()

    def teardown(self) -> None:
        if hasattr(self, "mm"):
            if self.child is not None:
                self.run(self.child.exit)
            self.run(self.mm.exit)
            assert not self.mm.vmas
            assert not self.mm.page_table.pmds


Memories.TestCase.settings = settings(
    max_examples=120, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestMemories = Memories.TestCase
