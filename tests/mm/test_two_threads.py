"""Two threads of one process: what works while a callback sleeps, what waits, and for which lock."""

import json

import pytest

from p2plab.cli import main
from p2plab.conform.mm import conform
from p2plab.core.actors import idle, wait_event
from p2plab.core.errors import BadInput
from p2plab.core.schedule import follow, straight
from p2plab.core.world import World
from p2plab.mm import (
    LINUX_6_1,
    LINUX_6_12,
    LINUX_7_3,
    MAP_FIXED,
    MAP_SHARED,
    RFC2019,
    VM_WRITE,
    AddressSpace,
    File,
    MmuNotifier,
    PfnFile,
    Signal,
    unmap_mapping_range,
)
from p2plab.mm.ask_window import window

BASE = 0x7F00_0000_0000
PAGE = 4096
KERNELS = [LINUX_7_3, LINUX_6_12, LINUX_6_1, RFC2019]


class Window:
    """A process with sixteen pages; thread A does something and sleeps in its callbacks, thread B does something else."""

    def __init__(self, a, b, kernel=LINUX_7_3, file=None, written=13):
        self.open = False
        self.said = {}
        window = self

        class Sleeper(MmuNotifier):
            async def invalidate_range_start(self, range):
                window.open = True
                await idle(lambda: not window.open, "the callback sleeps")
                return 0

        def build(world):
            self.mm = mm = AddressSpace("mm", kernel)
            self.file = file() if file else None

            async def process():
                flags = MAP_FIXED | (MAP_SHARED if self.file else 2)
                await mm.mmap(BASE, 16 * PAGE, 3, flags, self.file)
                await mm.touch(BASE, BASE + written * PAGE, True)
                await mm.mmu_notifier_register(Sleeper())
                self.said["A"] = await answer(a(self))

            async def other():
                await idle(lambda: self.open, "waits for the window")
                self.said["B"] = await answer(b(self))

            world.actor("A", process)
            world.actor("B", other)

        self.world = World(build)
        while not self.open:
            self.world.take("A")
        while "B" in self.world.enabled():
            self.world.take("B")
        self.in_window = self.said.get("B")  #: what B answered while A slept; None: it waits
        self.waits = self.world.why_not("B")

    def close(self):
        """Let A go on, to the end of both."""
        while "A" not in self.said or "B" not in self.said:
            self.open = False
            assert follow(self.world, straight), self.world.why_not("B")
        self.mm._check()
        return self.said


async def answer(job):
    try:
        await job
    except Signal as signal:
        return signal.name
    return "ok"


def at(first, last):
    return BASE + first * PAGE, (last - first) * PAGE


def touch(page, write):
    return lambda w: w.mm.touch(BASE + page * PAGE, BASE + (page + 1) * PAGE, write)


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("file", [None, lambda: File("f", 16), lambda: PfnFile("bar", 16)], ids=["anon", "file", "dev"])
@pytest.mark.parametrize(
    "a",
    [lambda w: w.mm.munmap(*at(4, 12)), lambda w: w.mm.mprotect(*at(4, 12), 0), lambda w: w.mm.mprotect(*at(4, 12), 1)],
    ids=["munmap", "none", "read"],
)
def test_in_the_window_the_access_still_works(kernel, file, a):
    """The entry is still there, and hardware asks no VMA: that is why an importer is notified. Afterwards it is over."""
    window = Window(a, touch(6, True), kernel, file)
    assert window.in_window == "ok"
    window.close()
    late = Window(a, lambda w: idle(lambda: "A" in w.said), kernel, file)
    late.close()
    vma = late.mm.vma_lookup(BASE + 6 * PAGE)
    assert vma is None or not vma.vm_flags & VM_WRITE


@pytest.mark.parametrize(
    "a",
    [lambda w: w.mm.mprotect(*at(4, 12), 1), lambda w: w.mm.mmap(*at(4, 12), flags=2 | MAP_FIXED)],
    ids=["mprotect", "mmap_fixed"],
)
def test_a_fault_on_a_piece_that_was_split_off_waits(a):
    """The new VMA is write-locked like the old one (__split_vma), so the fault takes mmap_lock, which A holds."""
    window = Window(a, touch(14, False))
    assert window.in_window is None
    assert "mmap_lock" in window.waits
    assert window.close() == {"A": "ok", "B": "ok"}


@pytest.mark.parametrize("file", [None, lambda: File("f", 16)], ids=["anon", "file"])
def test_a_write_to_the_place_that_memory_moves_to_is_not_lost(file):
    """The copied VMA is write-locked (vma_link): the write waits until the entries have moved, and finds them."""
    window = Window(lambda w: w.mm.mremap(*at(4, 12), 8 * PAGE, 3, BASE + 40 * PAGE), touch(42, True), file=file)
    assert window.in_window is None
    assert window.close() == {"A": "ok", "B": "ok"}


@pytest.mark.parametrize(
    "b",
    [
        lambda w: w.mm.munmap(*at(6, 8)),
        lambda w: w.mm.mprotect(*at(6, 8), 1),
        lambda w: w.mm.mmap(*at(6, 8), flags=2 | MAP_FIXED),
        lambda w: w.mm.mremap(*at(6, 8), 2 * PAGE, 3, BASE + 60 * PAGE),
    ],
    ids=["munmap", "mprotect", "mmap_fixed", "mremap"],
)
def test_what_changes_a_files_vmas_waits_for_its_i_mmap_rwsem(b):
    """The exporter's callback runs under it (read); who links or unlinks a VMA of the file takes it for writing."""
    window = Window(lambda w: unmap_mapping_range(w.file.f_mapping, 4, 11), b, file=lambda: PfnFile("bar", 16))
    assert window.in_window is None
    assert "bar.i_mmap_rwsem" in window.waits
    assert "(for A)" in window.waits
    window.close()


def test_a_callback_that_waits_for_a_thread_in_munmap_is_a_deadlock():
    """mmap_lock plays no part: the exporter holds i_mmap_rwsem, munmap wants it, the callback wants munmap to end."""

    class Waits(MmuNotifier):
        async def invalidate_range_start(self, range):
            if range.event == "CLEAR":
                await wait_event(lambda: done, "munmap to end", waits_for=lambda: ("app",))
            return 0

    done = []

    def build(world):
        mm, file = AddressSpace(), PfnFile("bar", 16)

        async def app():
            await mm.mmap(BASE, 16 * PAGE, 3, MAP_SHARED | MAP_FIXED, file)
            await mm.mmu_notifier_register(Waits())
            await idle(lambda: started)
            await mm.munmap(BASE, 16 * PAGE)
            done.append(True)

        started = []

        async def gpu():
            await idle(lambda: len(mm.notifier_subscriptions.list) > 0)
            started.append(True)
            await unmap_mapping_range(file.f_mapping, 4, 11)

        world.actor("app", app)
        world.actor("gpu", gpu)

    world = World(build)
    while "gpu" in world.enabled() or not world.blocked:
        world.take("gpu" if "gpu" in world.enabled() else "app")
    follow(world, straight)
    assert world.stuck is not None
    assert set(world.stuck.cycle) == {"app", "gpu"}
    assert "bar.i_mmap_rwsem" in str(world.stuck)


@pytest.mark.parametrize(
    ("operation", "kind", "page", "during", "after"),
    [
        ("munmap_part", "anon", 6, "works", "gets SIGSEGV"),
        ("mprotect_r", "device", 6, "works", "gets SIGSEGV"),
        ("unmap_mapping_range", "device", 6, "works", "works"),
        ("mremap_move", "file_shared", 38, "waits (mmap_lock granted (for A))", "works"),
        ("munmap_part", "device", 20, "gets SIGSEGV", "gets SIGSEGV"),
    ],
)
def test_the_window_as_a_value(operation, kind, page, during, after):
    """What the other thread gets during the first callback, and afterwards."""
    found = window(operation, kind, page)
    assert (found.during, found.after) == (during, after)


def test_a_window_that_does_not_exist_is_said_so():
    """No listener is told; and names and pages that do not exist are refused."""
    assert str(window("fork", "device")).endswith("there is no window: no listener is called")
    for wrong in (("nothing", "anon", 0), ("fork", "disk", 0), ("fork", "anon", 128), ("fork", "anon", -1)):
        with pytest.raises(BadInput):
            window(*wrong)


# -- recordings of two threads ---------------------------------------------------------------------------------------------

WINDOW = '{"header": {"kernel_key": "p73", "cmdline": "oracle.arg=two_window:2:100"}}\n'
RACE = WINDOW.replace("two_window", "two_race")


def event(cb, lock=None):
    call = {"cb": cb, "event": "UNMAP", "start": 4, "end": 12, "blockable": True}
    return call | ({"mmap_lock": lock} if lock else {})


def mark(number):
    return {"cb": "mark", "n": number}


PAIR = {
    "name": "um__tr",
    "kind": "device",
    "pages": 16,
    "prep": "tw 0 13",
    "A": {"op": "um 4 12", "ret": 0},
    "B": {"op": "tr 6 7", "ret": 0},
    "events": [event("interval", "read"), event("start", "read"), mark(1), mark(2), event("end"), mark(3)],
    "pop": [[0, 4], [12, 13]],
    "dev_writable": [[0, 4], [12, 13]],
    "vmas": [[0, 4, "rw-s", 0], [12, 16, "rw-s", 12]],
}


def recording(folder, *pairs, header=WINDOW):
    path = folder / "two.jsonl"
    path.write_text(header + "".join(json.dumps(pair) + "\n" for pair in pairs), encoding="utf-8")
    return path


def test_a_window_is_replayed(tmp_path):
    """The same answers, events, waiting and memory agree; any other is a difference."""
    assert (conform([recording(tmp_path, PAIR)]).agree, conform([recording(tmp_path, PAIR)]).differ) == (1, 0)
    waits = [*PAIR["events"][:3], event("end"), mark(2), mark(3)]
    for change in (
        {"B": {"op": "tr 6 7", "ret": -1, "signal": "SIGSEGV", "at": 6}},
        {"events": waits},
        {"events": PAIR["events"][2:]},
        {"pop": []},
        {"vmas": []},
    ):
        assert conform([recording(tmp_path, PAIR | change)]).differ == 1, change


def test_a_race_agrees_if_some_order_gives_it(tmp_path, capsys):
    """B before, within or after A's unmap: each is possible, and how many were never recorded is said; else it differs."""
    late = PAIR | {"B": {"op": "tr 6 7", "ret": -1, "signal": "SIGSEGV", "at": 6}}
    report = conform([recording(tmp_path, PAIR, late, header=RACE)])
    assert (report.agree, report.differ) == (2, 0)
    impossible = PAIR | {"B": {"op": "tr 6 7", "ret": -1, "signal": "SIGBUS", "at": 6}}
    report = conform([recording(tmp_path, PAIR, impossible, header=RACE)])
    assert (report.agree, report.differ, report.never_recorded) == (1, 1, 1)
    assert main(["conform", "mm", str(recording(tmp_path, PAIR, header=RACE))]) == 0
    assert "1 more outcomes are possible in the model and were not recorded" in capsys.readouterr().out


def test_an_operation_that_is_not_modelled_is_counted(tmp_path):
    """By both operations, never as agreeing."""
    report = conform([recording(tmp_path, PAIR | {"B": {"op": "zz 6 7", "ret": 0}})])
    assert dict(report.not_modelled) == {"two threads: um 4 12 with zz 6 7": 1}


@pytest.mark.parametrize(
    ("header", "change", "what"),
    [
        (WINDOW.replace("two_window", "x"), {}, "neither two_window nor two_race"),
        (WINDOW, {"A": 7}, "needs A and B"),
        (WINDOW, {"B": {"ret": 0}}, "needs A and B"),
        (WINDOW, {"pages": 0}, "number of pages"),
        (WINDOW, {"events": [1]}, "a list of objects"),
        (WINDOW, {"events": [{"cb": "start"}]}, "its start and its end"),
        (WINDOW, {"prep": "tw 0 1e9"}, "is not a page number"),
        (WINDOW, {"A": {"op": "um 4 99999999", "ret": 0}}, "is not a page number"),
    ],
)
def test_what_is_no_recording_of_two_threads_is_refused(tmp_path, header, change, what):
    """With the line and what was expected."""
    with pytest.raises(BadInput, match=what):
        conform([recording(tmp_path, PAIR | change, header=header)])
