"""More runs behind the claims of the review: what an exporter may be, what an importer may be, and where a refusal shows."""

from __future__ import annotations

import textwrap

from p2plab.catalog import CASES
from p2plab.catalog.bench import Plan
from p2plab.catalog.verdict import story_run
from p2plab.core.run import Run
from p2plab.core.schedule import by_text
from p2plab.course.exercises.scenes import scene_of
from p2plab.designs.classes import KERNEL, NVME, classes
from p2plab.designs.matrix import cell
from p2plab.designs.struct_page import uses
from p2plab.drivers.doorbell import Doorbell
from p2plab.drivers.odp import OdpNic
from p2plab.everything import find
from p2plab.mm import LINUX_6_12
from p2plab.mm.ask import ask
from p2plab.mm.ask_operations import OPERATIONS
from p2plab.p2p.events import P2PMapFailed
from p2plab.search import check
from p2plab.search.report import headline
from p2plab.views.designs_text import uses_text
from p2plab.views.text import WIDTH, board_of, verdict


def static_bar() -> str:
    """Mapped, used, unmapped, in every order."""
    plan = Plan(exporter=Doorbell, pages=1, slots=4, gpu=(), app=("mmap", "munmap"))
    return headline(check(scene_of("static-bar", "doorbell pages that never move", plan)))


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
    """A driver that takes the new size for granted."""
    case = CASES["C5"]
    return "\n".join([*textwrap.wrap(f"C5: {case.scenario.about}", WIDTH), *verdict(story_run(case))])


def edges_move() -> str:
    """A NIC that faults, and a process that unmaps a page inside of what it registered."""
    plan = Plan(importer=OdpNic, kernel=LINUX_6_12, pages=2, gpu=(), then=(), app=("mmap", "munmap"))
    return headline(check(scene_of("odp", "memory that goes while an ODP region covers it", plan)))


def disasters() -> str:
    """What the second map gets after each of them, and that no rule calls it broken."""
    scene = find("disasters")
    lines = []
    for kind in next(knob for knob in scene.knobs if knob.name == "what").choices:
        run = Run(scene, {"what": kind}).driven(by_text(scene.story, strict=False), 5000)
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
    """What becomes of page-based peer-to-peer without one of the uses."""
    return "\n".join(line for line in uses_text(uses()) if line)


def _served(importer: str) -> str:
    return "\n".join(f"{fate.design:<16} {fate.answer}" for fate in classes()[importer])
