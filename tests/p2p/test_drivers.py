"""The reference drivers: each keeps every promise in every order that a seed finds, and is short enough for a class."""

import importlib
import inspect
import pkgutil
from dataclasses import replace
from pathlib import Path

import pytest

import p2plab.drivers
from p2plab.catalog import CASES
from p2plab.catalog.bench import Bench, Plan
from p2plab.catalog.verdict import story_run
from p2plab.core.run import Run
from p2plab.core.scenario import Scenario
from p2plab.core.schedule import by_clock, by_seed, by_text
from p2plab.drivers.command_queue import CommandQueueWriter
from p2plab.drivers.doorbell import Doorbell
from p2plab.drivers.nic import ObedientNic
from p2plab.drivers.odp import OdpNic
from p2plab.drivers.peer_gpu import LinkedGpu, PeerGpu
from p2plab.drivers.pinned import PinsUntilUnmap
from p2plab.drivers.quiescing import QuiescingNic
from p2plab.mm import LINUX_6_12
from p2plab.p2p.things import things_of
from p2plab.rules import PROMISES, RULES, judge
from p2plab.rules.damage import damage

FILES = sorted(module.name for module in pkgutil.iter_modules(p2plab.drivers.__path__))


def scene(plan: Plan, bench: type[Bench] = Bench) -> Scenario:
    return Scenario("bench", "", lambda world, settings: bench(world, plan, settings), rules=PROMISES)


def broken(run: Run) -> list[str]:
    return [f"{f.rule}: {f.what}" for f in judge(run.log, [RULES[name] for name in PROMISES]).findings]


@pytest.mark.parametrize("name", FILES)
def test_a_reference_driver_is_short_and_asynchronous(name):
    """Under 80 lines; every callback of the contract and of the notifier is `async def`."""
    module = importlib.import_module(f"p2plab.drivers.{name}")
    assert len(Path(module.__file__).read_text().splitlines()) < 80
    for cls in vars(module).values():
        if inspect.isclass(cls) and cls.__module__ == module.__name__:
            for callback in ("p2p_map", "p2p_unmap", "invalidate_range_start", "invalidate_range_end"):
                if callback in vars(cls):
                    assert inspect.iscoroutinefunction(vars(cls)[callback])


class StaticGpu(Doorbell):
    """A static exporter that is asked to defragment, and does not."""

    async def defrag(self) -> None:
        """Never moves."""

    async def place(self, thing) -> None:
        """Never moves."""


PLANS = {
    "obedient": Plan(),
    "odp": Plan(importer=OdpNic, kernel=LINUX_6_12),
    "quiescing": Plan(importer=QuiescingNic),
    "command-queue": Plan(importer=CommandQueueWriter),
    "peer-gpu": Plan(importer=PeerGpu, exporter=LinkedGpu),
    "pinned-on-static": Plan(importer=PinsUntilUnmap, exporter=StaticGpu, app=("mmap", "munmap")),
    "doorbell": Plan(exporter=StaticGpu, app=("mmap", "munmap")),
    "two": Plan(more=(ObedientNic,), second_process=True, app=("mmap", "munmap")),
    "iommu": Plan(iommu=True, app=("mmap", "munmap")),
    "timed": Plan(timed=True, app=("mmap", "munmap")),
}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_no_order_makes_a_reference_pair_break_a_promise(plan):
    """Forty seeds each, half of them from where the importer has mapped; and the clock."""
    for seed in range(40):
        run = Run(scene(plan))
        if seed % 2:
            run = run.driven(by_text("app*7 nic", strict=False))
        run = run.driven(by_seed(seed), 5000)
        assert (seed, broken(run), damage(run.log), run.world.stuck) == (seed, [], (), None)
        assert run.world.enabled() == []
    assert broken(Run(scene(plan)).driven(by_clock)) == []


def test_a_pinning_importer_on_a_gpu_that_moves_is_the_exporter_s_trouble():
    """It keeps what it has at a CLEAR: on a GPU that moves, that is F1."""
    run = Run(scene(Plan(importer=PinsUntilUnmap))).driven(by_text("app nic nic_dma*1 gpu ..."))
    assert "obedience" in [finding.split(":")[0] for finding in broken(run)]


def test_a_quiescing_nic_starts_no_beat_while_it_is_stopped():
    """Between the callback's begin and the end of the invalidation nothing is sent, in any page."""
    run = Run(scene(replace(PLANS["quiescing"], pages=4, slots=8))).driven(
        by_text("app nic nic_dma*3 gpu*6 nic_dma ...")
    )
    kinds = [e.event.kind for e in run.log if e.event.kind in ("NotifierStart", "NotifierEnd", "BeatIssued")]
    assert kinds.index("NotifierEnd") - kinds.index("NotifierStart") == 1


def test_a_link_serves_its_peer_without_a_slot():
    """The peer's addresses are not bus addresses, and the aperture does not change hands for them."""
    plan = Plan(importer=PeerGpu, exporter=LinkedGpu, gpu=(), at=-1)

    class Linked(Bench):
        def prepare(self, settings) -> None:
            self.gpu.link = "nic"

    run = Run(scene(plan, Linked)).driven(by_text("app nic nic_dma ..."))
    lent = [e.event.places for e in run.log if e.event.kind == "Lent"]
    assert lent == [("link", "link")]
    assert [e.event.frame for e in run.log if e.event.kind == "BeatLanded"] == ["A[0]", "A[1]"]
    assert broken(run) == []


def test_commands_are_written_one_by_one():
    """Three rings, three writes to the doorbell page."""
    run = Run(scene(Plan(importer=CommandQueueWriter, then=(), gpu=()))).driven(by_text("app nic ..."))
    nic = things_of(run.world).importers[0]
    with run.world._as_running("nic"):
        ring = nic.ring(things_of(run.world).base, 3)
        with pytest.raises(StopIteration):
            ring.send(None)
    run = run.driven(by_text("..."))
    assert [e.event.frame for e in run.log if e.event.kind == "BeatLanded"] == ["A[0]"] * 3


def test_half_of_a_split_mapping_is_mapped_again():
    """After a munmap of the middle the outer pages are given back with it, and asked for again."""
    run = story_run(CASES["F13"], "good")
    first = [(e.event.kind, len(e.event.addresses)) for e in run.log if e.event.kind in ("P2PMapped", "P2PUnmapped")]
    assert first[:2] == [("P2PMapped", 3), ("P2PUnmapped", 3)]


def test_only_a_call_that_may_not_block_is_refused_by_odp():
    """With pages held it answers false at once; without, it drops what it has and says yes."""
    run = Run(scene(PLANS["odp"])).driven(by_text("app nic"))
    nic = things_of(run.world).importers[0]
    from p2plab.mm import MmuNotifierRange

    start = things_of(run.world).base
    ask = MmuNotifierRange(nic.mm, start, start + 4096, "UNMAP", blockable=False)
    with run.world._as_running("gpu"):
        assert nic._at_once(ask, 99) is False
        assert nic.lock.owner is None
        nic.held.clear()
        nic.engine.queue.clear()
        assert nic._at_once(ask, 99) is True
        assert start not in nic.engine.table
        assert nic.invalidate_seq == 99


def test_an_orderly_removal_waits_until_nothing_is_lent():
    """Also for an answer that is still on its way to the importer when the disaster begins."""
    run = Run(CASES["E12"].scenario, {"driver": "good"}).driven(by_text("app nic*5 gpu"))
    assert run.world.why_not("gpu") == "gpu waits: nothing is lent any more"
    assert dict(things_of(run.world).exporters[0].lent)
    run = run.driven(by_text("..."))
    words = [e.event.kind for e in run.log if e.event.kind in ("Lent", "LendingEnded", "DeviceGone")]
    assert words == ["Lent", "LendingEnded", "DeviceGone"]
