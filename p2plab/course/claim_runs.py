"""The runs behind the claims of the review: each function runs the model and reports the result in a few lines."""

from __future__ import annotations

import textwrap
from functools import partial
from itertools import permutations

from p2plab.catalog import CASES
from p2plab.catalog.bench import Plan
from p2plab.catalog.rig import BASE
from p2plab.catalog.verdict import story_run
from p2plab.core.actors import run_alone
from p2plab.core.run import Run
from p2plab.core.world import World
from p2plab.course.exercises.scenes import scene_of
from p2plab.designs.classes import KERNEL, NVME, classes
from p2plab.designs.matrix import cell
from p2plab.designs.struct_page import uses
from p2plab.drivers.doorbell import Doorbell
from p2plab.drivers.odp import OdpNic
from p2plab.drivers.pinned import PinsUntilUnmap
from p2plab.everything import find
from p2plab.mm import LINUX_6_12, MAP_FIXED, MAP_SHARED, PAGE_SIZE, AddressSpace, NotifierStart
from p2plab.mm.ask import ask
from p2plab.mm.ask_operations import OPERATIONS
from p2plab.mm.file import File, PfnFile
from p2plab.p2p.events import HmmRangeMapped, HmmRangeUnmapped, P2PMapFailed, P2PMapped
from p2plab.p2p.things import things_of
from p2plab.pci import RFC2019, Machine, pci_test_p2p, reach_verdict, read_machine, with_acs, with_cpu
from p2plab.search import check
from p2plab.views.callgraph import call_graph, call_graph_text
from p2plab.views.designs_text import uses_text
from p2plab.views.report import headline
from p2plab.views.text import WIDTH, board_of, verdict

MACHINE = "q35_switch2"
BELOW_ONE_SWITCH = ("03:00.0", "04:00.0")


def _told(scene: str, **knobs: str) -> Run:
    made = find(scene)
    return Run(made, knobs).told()


def _broken(code: str) -> str:
    return "\n".join([f"{code}, {CASES[code].scenario.title}:", *verdict(story_run(CASES[code]))])


def _pairs(machine: Machine) -> list[tuple[str, str]]:
    ends = [device.bdf for device in machine.devices if not device.is_bridge]
    return list(permutations(ends, 2))


def two_rules() -> str:
    """Both NICs, in every order."""
    return "\n".join(headline(check(find(name))) for name in ("defrag-obedient", "defrag-ignorant"))


def only_false() -> str:
    """The posted function on every pair of a machine."""
    machine = read_machine(MACHINE)
    pairs = _pairs(machine)
    yes = {mode: sum(pci_test_p2p(machine, a, b, mode) for a, b in pairs) for mode in ("as posted", "as intended")}
    return f"{len(pairs)} pairs of {MACHINE}: as posted {yes['as posted']} say yes, as intended {yes['as intended']}"


def same_engine() -> str:
    """What ``upstream_bridge_distance`` of 2019 tests beyond a common bridge: redirection by ACS on the way."""
    plain = read_machine("q35_switch1")
    lines = ["upstream_bridge_distance of 2019, two functions below one switch:"]
    for what, machine in (("no redirection", plain), ("redirected by 02:00.0", with_acs(plain, {"02:00.0": 0x1C}))):
        lines.append(
            f"  {what:<22} {'reachable' if reach_verdict(machine, *BELOW_ONE_SWITCH, RFC2019).reachable else 'refused'}"
        )
    return "\n".join([*lines, "The two patches themselves are not in the model, so what they test is not compared."])


def more_tests() -> str:
    """How these tests changed: 2019's rules beside today's, with two kinds of CPU."""
    machine = read_machine(MACHINE)
    pairs = _pairs(machine)
    old = sum(reach_verdict(machine, a, b, RFC2019).reachable for a, b in pairs)
    new = {
        cpu: sum(reach_verdict(with_cpu(machine, cpu), a, b).reachable for a, b in pairs) for cpu in ("intel", "zen")
    }
    counts = f"2019 {old} reachable; today {new['intel']} with an Intel CPU, {new['zen']} with an AMD Zen"
    why = "No run decides this: the linked patches are not in the model. How far the kernel's own tests came:"
    return f"{why}\n{len(pairs)} pairs: {counts}"


def who_calls() -> str:
    """The five patches and nothing else."""
    return call_graph_text(call_graph(_told("wirings", wiring="series-alone").log))


def set_in_mmap() -> str:
    """As intended."""
    return call_graph_text(call_graph(_told("wirings", wiring="as-intended").log))


def core_calls() -> str:
    """As the reviewer expected."""
    return call_graph_text(call_graph(_told("wirings", wiring="as-reviewer-expected").log))


def no_pin() -> str:
    """Where A was before the move and where it is after it."""
    places = [entry.event for entry in _told("defrag-obedient").log if isinstance(entry.event, P2PMapped)]
    return "\n".join(f"p2p_map gives {', '.join(hex(at) for at in event.addresses)}" for event in places)


def serialise() -> str:
    """An exporter that does not, and one that does, in every order."""
    return "\n".join(headline(check(find("E3"), knobs={"driver": driver})) for driver in ("broken", "good"))


def for_one_device() -> str:
    """One importer hands its array to another."""
    return _broken("F18")


def unplug() -> str:
    """Without notice, and in order: the later map fails with its own errno."""
    failed = [entry.event for entry in story_run(CASES["E12"], "good").log if isinstance(entry.event, P2PMapFailed)]
    return "\n".join([_broken("E12"), "in order:", *(f"  {event}" for event in failed)])


def permission() -> str:
    """An exporter that asks once; and the note on the twin's board, where two promises contradict."""
    notes = board_of(story_run(CASES["E11"], "good")).notes
    twin = (textwrap.fill(note, WIDTH, initial_indent="  ", subsequent_indent="  ") for note in notes)
    return "\n".join([_broken("E11"), "the twin:", *twin])


def zap_tells() -> str:
    """A move where the CPU never touched anything."""
    run = _told("defrag-obedient")
    told = [str(entry.event) for entry in run.log if isinstance(entry.event, NotifierStart)]
    things = things_of(run.world)
    entries = sum(things.spaces[0].page_table.get(things.base + n * 4096) is not None for n in range(4))
    source = "that no entry is needed: comment in patch 3/5, and 20190129234752.GR3176@redhat.com"
    return "\n".join([f"CPU page-table entries of A: {entries} ({source})", *told])


def no_gup() -> str:
    """Pages of a device vma."""
    answers = [ask(name, "device") for name in ("get_user_pages", "pin_user_pages")]
    return "\n".join(f"{answer.operation}: {answer.returned}" for answer in answers)


def pins_fragment() -> str:
    """The largest free run against the share of pinned objects (needs numpy)."""
    from p2plab.sweeps import fragmentation  # numpy is imported only where it is needed

    sweep = fragmentation(seeds=5, shares=(0.0, 0.1, 0.4), lifetimes=(4,))
    return "\n".join(sweep.text())


def split_only() -> str:
    """The middle unmapped and mapped again, of a device's memory and of a file's (mm/vma.c, is_mergeable_vma: VM_SPECIAL)."""
    lines: list[str] = []

    def build(_world: World) -> None:
        for what, file in (("a device's memory", PfnFile("device", 4)), ("a file in the page cache", File("file", 4))):
            mm = AddressSpace("app")
            counts = []
            for first, pages, mapped in ((0, 4, True), (1, 1, False), (1, 1, True)):
                at, length = BASE + first * PAGE_SIZE, pages * PAGE_SIZE
                if mapped:
                    run_alone(partial(mm.mmap, at, length, flags=MAP_SHARED | MAP_FIXED, file=file, pgoff=first))
                else:
                    run_alone(partial(mm.munmap, at, length))
                counts.append(len(mm.vmas))
            lines.append(f"{what}: vmas {counts[0]}, middle unmapped {counts[1]}, mapped again {counts[2]}")

    World(build)
    return "\n".join([*lines, "So it is true of device memory (VM_PFNMAP), and not of every file."])


def page_cost() -> str:
    """Arithmetic with the thread's example sizes: 16 GiB of device memory (20190130192234.GD5061@redhat.com)."""
    pages = (16 << 30) // 4096
    return f"16 GiB / 4 KiB x 64 bytes = {pages * 64 >> 20} MiB"


def vma_life() -> str:
    """An importer that uses the pointer after its callback returned: what a user without a notifier cannot avoid."""
    return _broken("F14")


def pin_until_unmap() -> str:
    """Such an importer with an exporter that grants the pin by never moving, and with one that was not asked and moves."""
    plan = Plan(importer=PinsUntilUnmap, pages=1, slots=4, gpu=(), app=("mmap", "munmap"))
    still = headline(check(scene_of("pin-granted", "an exporter that leaves pinned memory where it is", plan)))
    asked = headline(check(find("wirings"), knobs={"wiring": "vma-dma-map-range-pin"}))
    moves = headline(check(find("defrag-obedient"), importer=PinsUntilUnmap))
    return "\n".join(
        [
            f"No pin flag was posted. An exporter that keeps still: {still}",
            f"One that is asked, and moves to main memory first: {asked}",
            f"One that moves, since nobody asked it: {moves}",
        ]
    )


def map_range() -> str:
    """The call that the thread ended with, for a device's vma; an ordinary one (GUP) is left out."""
    return "\n".join(
        [
            *call_graph_text(call_graph(_told("wirings", wiring="vma-dma-map-range").log)).splitlines(),
            headline(check(find("wirings"), knobs={"wiring": "vma-dma-map-range"})),
        ]
    )


def loop_skips() -> str:
    """A range of main memory, device memory, main memory, two pages each."""
    log = [entry.event for entry in story_run(CASES["C1"]).log]
    return "\n".join(str(event) for event in log if isinstance(event, (HmmRangeMapped, HmmRangeUnmapped)))


def static_bar() -> str:
    """Mapped, used, unmapped, in every order, with the callbacks that the helper sets; who set and called them."""
    plan = Plan(exporter=Doorbell, pages=1, slots=4, gpu=(), app=("mmap", "munmap"), wiring="ioremap-helper")
    scene = find("wirings")
    told = Run(scene, {"wiring": "ioremap-helper"}).told()
    holds = headline(check(scene_of("static-bar", "doorbell pages that never move", plan)))
    return f"{holds}\n{call_graph_text(call_graph(told.log))}"


def cap() -> str:
    """The policy with a bound, beside the one that refuses (needs numpy)."""
    from p2plab.sweeps import refusals  # numpy is imported only where it is needed

    found = refusals(seeds=3, ratios=(1.6,))
    lines = ["demand 1.6 times the BAR; median over 3 seeds:"]
    for quantity in ("refused later, share of maps", "pages from main memory"):
        said = ", ".join(f"{name} {found.series(name, quantity)[0].median:.2f}" for name in ("refuse", "cap"))
        lines.append(f"  {quantity}: {said}")
    return "\n".join(lines)


def only_calls_tell() -> str:
    """Every operation that the model knows, on a device mapping that its driver leaves alone."""
    answers = [ask(name, "device") for name in OPERATIONS]
    own = ("unmap_mapping_range", "zap_vma_ptes")
    tell = [answer.operation for answer in answers if answer.rows and answer.operation not in own]
    silent = sum(not answer.rows for answer in answers)
    return "\n".join(
        [
            f"of {len(answers)} operations on device memory {silent} tell nobody.",
            f"the process tells by {', '.join(tell)};",
            f"the exporter by {', '.join(own)}",
        ]
    )


def may_be_ram() -> str:
    """The fallback: kept promise, other place."""
    return "\n".join(["E5, main memory instead of the BAR:", *verdict(story_run(CASES["E5"]))])


def predictable() -> str:
    """An exporter that gives the place away, and one that does not, in every order."""
    return "\n".join(headline(check(find("E4"), knobs={"driver": driver})) for driver in ("broken", "good"))


def cpu_touch() -> str:
    """The usual life of an object: the CPU looks at it, the next job takes it away again."""
    return "\n".join(["C6, the price of a CPU access:", *verdict(story_run(CASES["C6"]))])


def no_room_to_grow() -> str:
    """A driver that assumes the new size."""
    case = CASES["C5"]
    return "\n".join([*textwrap.wrap(f"C5: {case.scenario.about}", WIDTH), *verdict(story_run(case))])


def edges_move() -> str:
    """A NIC that faults, and a process that unmaps a page inside its registered range."""
    plan = Plan(importer=OdpNic, kernel=LINUX_6_12, pages=2, gpu=(), then=(), app=("mmap", "munmap"))
    return headline(check(scene_of("odp", "memory that goes while an ODP region covers it", plan)))


def disasters() -> str:
    """What the second map gets after each of them, and that no rule calls it broken."""
    scene = find("disasters")
    lines = []
    for kind in next(knob for knob in scene.knobs if knob.name == "what").choices:
        run = Run(scene, {"what": kind}).told(5000)
        failed = [entry.event.errno for entry in run.log if isinstance(entry.event, P2PMapFailed)]
        broken = len(board_of(run).findings)
        lines.append(f"{kind:<10} the next map fails with -{', -'.join(failed)}; promises broken: {broken}")
    lines.append("Unplug and PCI errors are Jason Gunthorpe's (GC30598).")
    lines.append("For a suspend the mail wants things moved, where this exporter refuses.")
    return "\n".join(lines)


def when_it_fails() -> str:
    """Where a refusal shows under the proposal, and under what came later."""
    designs = ("rfc-vma", "p2pdma-pages", "dma-buf-dynamic", "vfio-dma-buf")
    return "\n".join(f"{name:<16} {cell('where failure shows', name).answer}" for name in designs)


def no_vma() -> str:
    """A user inside the kernel, under each design."""
    return _served(KERNEL)


def block_layer() -> str:
    """O_DIRECT to a BAR, under each design."""
    return _served(NVME)


def three_uses() -> str:
    """What happens to page-based peer-to-peer without one of the uses."""
    return "\n".join(line for line in uses_text(uses()) if line)


def _served(importer: str) -> str:
    return "\n".join(f"{fate.design:<16} {fate.answer}" for fate in classes()[importer])
