"""What is particular to each design: errors, order of calls, who waits for whom."""

import itertools

import pytest

from p2plab.core.calls import Called
from p2plab.core.locks import LockAcquired, LockReleased
from p2plab.core.run import Run
from p2plab.core.schedule import by_text
from p2plab.designs import DESIGNS, SCENES
from p2plab.designs.dma_buf_dynamic import DmaBufGpu
from p2plab.designs.lines import StepEnded, lines_of, outcomes
from p2plab.designs.steps import TROUBLES
from p2plab.p2p.events import (
    DeviceGone,
    DmaMapped,
    DmaUnmapped,
    MoveEnded,
    P2PMapped,
    Pinned,
    ReferencePut,
    Restored,
    RevokedNow,
)
from p2plab.rules import judge, watched_by
from p2plab.rules.damage import damage
from p2plab.search import Pass, Violation, check
from p2plab.search.drivers import cast
from p2plab.views.damage import memory_picture
from p2plab.views.pictures.bar_map import bar_map
from p2plab.views.stage import moment
from p2plab.views.text import board_of, story


def told(design: str, schedule: str = "", **knobs: str) -> Run:
    """The step list under a design, in its own order or another."""
    scene = SCENES[f"design-{design}"]
    return Run(scene, knobs).driven(by_text(schedule or scene.story, strict=False), 3_000)


def errors(run: Run) -> list[tuple[str, str]]:
    return [(e.event.what, e.event.errno) for e in run.log if isinstance(e.event, StepEnded) and e.event.errno]


def places(run: Run, *kinds: type) -> list[int]:
    return [entry.index for entry in run.log if isinstance(entry.event, kinds)]


def calls(run: Run) -> list[str]:
    return [entry.event.function for entry in run.log if isinstance(entry.event, Called)]


@pytest.mark.parametrize("name", SCENES)
def test_the_story_breaks_nothing_and_can_be_looked_at(name):
    """All rules hold, nobody is damaged, and the pictures can be drawn at every step."""
    run = told(name.removeprefix("design-"))
    assert not board_of(run).findings
    assert not damage(run.log)
    for step in range(len(run) + 1):
        assert "stale" not in moment(run, step).table("nic").states()
        bar_map(run, step)
    memory_picture(run)
    assert max(map(len, story(run).splitlines())) <= 72


def test_long_term_and_p2pdma_exclude_each_other():
    """-EINVAL with both flags, -EREMOTEIO without FOLL_PCI_P2PDMA, -EFAULT where there is no struct page."""
    assert errors(told("p2pdma-pages", importer="long-term")) == [("map", "EINVAL")]
    assert errors(told("p2pdma-pages", importer="unaware")) == [("map", "EREMOTEIO")]
    assert errors(told("p2pdma-pages", trouble="no-pages")) == [("map", "EFAULT")]
    assert errors(told("p2pdma-pages", trouble="unreachable")) == [("map", "EREMOTEIO")]
    assert errors(told("p2pdma-pages", trouble="no-room")) == [("set up", "ENOMEM")]


def test_removal_waits_for_the_pages():
    """The device goes only when the last page was put."""
    run = told("p2pdma-pages", steps="unplug")
    assert places(run, DeviceGone)[0] > places(run, ReferencePut)[-1]


def test_a_dynamic_importer_unmaps_under_the_reservation_lock_and_maps_again():
    """Lock, tell, unmap, move, unlock; then the importer's fault maps anew, at another address."""
    run = told("dma-buf-dynamic")
    locked = [e.index for e in run.log if isinstance(e.event, (LockAcquired, LockReleased)) and e.actor == "gpu"]
    unmapped, moved = places(run, DmaUnmapped)[0], places(run, MoveEnded)[0]
    assert locked[0] < unmapped < moved < locked[1]
    first, second = (run.log[index].event for index in places(run, DmaMapped))
    assert isinstance(first, P2PMapped)
    assert isinstance(second, P2PMapped)
    assert first.addresses != second.addresses
    assert [name for name in calls(run) if name != "pin"] == [
        "attach", "map_dma_buf", "invalidate_mappings", "unmap_dma_buf", "map_dma_buf", "unmap_dma_buf"
    ]  # fmt: skip


def test_an_importer_with_fences_is_waited_for():
    """The callback does nothing but mark; the move comes after the transfer's last beat."""
    run = told("dma-buf-dynamic", importer="fences")
    ends = [e.index for e in run.log if e.event.kind == "TransferEnded"]
    assert places(run, MoveEnded)[0] > ends[0]


def test_an_importer_out_of_reach_gets_main_memory():
    """amdgpu clears peer2peer at attach, and map then prefers main memory."""
    run = told("dma-buf-dynamic", trouble="unreachable")
    mapped = run.log[places(run, DmaMapped)[0]].event
    assert isinstance(mapped, P2PMapped)
    assert min(mapped.addresses) >= 1 << 32
    assert errors(run) == []


def test_a_pinned_buffer_does_not_move():
    """-EINVAL. 6.12 pins in main memory, which outlives the device; 7.3 in device memory if all are peer to peer."""
    assert errors(told("dma-buf-pinned")) == [("wants its memory back", "EINVAL")]
    old = told("dma-buf-pinned", steps="unplug", kernel="6.12")
    assert old.log[places(old, Pinned)[0]].event.place == "system"
    assert places(old, DeviceGone)[0] < places(old, DmaUnmapped)[0]
    new = told("dma-buf-pinned", steps="unplug")
    assert new.log[places(new, Pinned)[0]].event.place == "vram"
    assert places(new, DeviceGone)[0] > places(new, DmaUnmapped)[0]


def test_who_has_no_importer_ops_is_pinned_by_the_core_in_main_memory():
    """At attach until 6.12, with each map in 7.3: the same shortage shows at another line."""
    for kernel, line in (("6.12", "set up"), ("7.3", "map")):
        run = told("dma-buf-pinned", importer="static", kernel=kernel)
        assert run.log[places(run, Pinned)[0]].event.place == "system"
        assert errors(told("dma-buf-pinned", importer="static", kernel=kernel, trouble="no-room")) == [(line, "ENOMEM")]


def test_a_vfio_exporter_counts_its_mappings_and_waits_twice():
    """One reference each; the fences first, then the last unmap, which comes from the importer's own work."""
    run = told("vfio-dma-buf", "app*12 gpu*4 nic_dma*4 nic ... gpu ...", importer="unmaps-later")
    kinds = [e.event.kind for e in run.log]
    assert kinds.index("FencesSignalled") < kinds.index("DmaUnmapped") < kinds.index("RevokedNow")
    assert not board_of(run).findings
    assert run.world.things.exporters[0].kref == 1


def test_vfio_of_6_19_told_and_went_on():
    """No wait, and a pin refused; an importer that keeps its mapping reaches what was revoked."""
    run = told("vfio-dma-buf", importer="keeps", kernel="6.19", trouble="later")
    assert "FencesSignalled" not in {e.event.kind for e in run.log}
    assert "silent-after-revoke" in {finding.rule for finding in board_of(run).findings}


def test_the_wait_that_never_ends_is_found_at_once_and_its_repair_holds():
    """vfio_pci_dma_buf_cleanup after a revoke, 2026: the second wait is for a completion that was consumed."""
    knobs = {"steps": "all", "trouble": "later"}
    broken = check(SCENES["design-vfio-dma-buf"], knobs={**knobs, "exporter": "waits-twice"})
    assert isinstance(broken, Violation)
    assert broken.rule == "no-deadlock"
    assert (broken.switches, broken.steps) == (2, 25)
    assert any(e.event.kind == "RefcountWarned" for e in broken.run.log)
    assert isinstance(check(SCENES["design-vfio-dma-buf"], knobs=knobs), Pass)


def test_vfio_takes_only_importers_that_can_let_go():
    """-EOPNOTSUPP without peer to peer and for a pin that cannot be revoked; -ENODEV while memory is disabled."""
    assert errors(told("vfio-dma-buf", importer="no-peer")) == [("set up", "EOPNOTSUPP")]
    assert errors(told("vfio-dma-buf", importer="cannot-stop")) == [("set up", "EOPNOTSUPP")]
    assert errors(told("vfio-dma-buf", trouble="no-room")) == [("set up", "ENODEV")]
    assert errors(told("vfio-dma-buf", trouble="unreachable")) == [("map", "EINVAL")]
    assert ("map again", "ENODEV") in errors(told("vfio-dma-buf", trouble="later"))


def test_vfio_is_revoked_only_when_everybody_has_unmapped():
    """Told, unmapped, revoked, restored; mapped again at the same place."""
    run = told("vfio-dma-buf")
    assert places(run, DmaUnmapped)[0] < places(run, RevokedNow)[0] < places(run, Restored)[0]
    first, second = (run.log[index].event for index in places(run, DmaMapped))
    assert isinstance(first, P2PMapped)
    assert isinstance(second, P2PMapped)
    assert first.addresses == second.addresses


def test_a_revocable_importer_is_revoked_for_good():
    """Nothing brings it back, although the exporter restores the buffer: the next transfer fails with -EIO."""
    run = told("vfio-dma-buf", "app*6 gpu app ...", importer="revocable")
    assert errors(run) == [("DMA", "EIO")]
    assert len(places(run, DmaMapped)) == 1
    assert places(run, Restored)


def test_the_interval_notifier_moves_one_page_at_a_time():
    """Only what was migrated is given back; the rest stays mapped."""
    run = told("hmm-interval", steps="part")
    given = run.log[places(run, DmaUnmapped)[0]].event
    assert given.end - given.start == 4096
    assert calls(run).count("invalidate") == 1


def test_mirrors_report_what_they_cannot_map():
    """DMA_MAPPING_ERROR for a device out of reach, -EFAULT for a page that cannot be had."""
    assert errors(told("hmm-dma-map", trouble="unreachable")) == [("map", "EFAULT")]
    assert errors(told("hmm-interval", trouble="no-room")) == [("map", "EFAULT")]


@pytest.mark.parametrize("name", SCENES)
def test_the_buttons_are_the_step_list(name):
    """By hand: each line of the list is an action, and presses replay."""
    scene = SCENES[name]
    run = Run(scene, {"steps": "by-hand"}).driven(by_text("app !map app !starts-dma app nic_dma !unmap app ..."))
    assert set(run.world.actions) >= {
        "set-up",
        "map",
        "dma",
        "unmap",
        "wants-its-memory-back",
        "unplug",
        "process-exits",
    }
    assert not board_of(run).findings
    assert places(run, P2PMapped)


def test_runs_of_two_designs_can_be_laid_side_by_side():
    """By the lines of the list: the same ones under both, wherever in its run each has them; the lab opens both."""
    rfc, buf = (lines_of(told(design).log) for design in ("rfc-vma", "dma-buf-dynamic"))
    assert {line.what for line in rfc} == {line.what for line in buf}
    assert all(line.outcome == "done" for line in (*rfc, *buf))
    assert [line.what for line in rfc if line.actor == "gpu"] == ["wants its memory back"]
    lab = pytest.importorskip("p2plab.lab.compare").CompareLab("design-rfc-vma", "design-dma-buf-dynamic")
    assert [side.session.run.scenario.name for side in lab.sides] == ["design-rfc-vma", "design-dma-buf-dynamic"]


def test_what_never_ends_is_said():
    """An importer without a callback keeps p2pdma's exporter waiting for as long as it likes."""
    run = told("p2pdma-pages", "app nic_dma*1 gpu")
    assert [line.outcome for line in lines_of(run.log)] == ["done", "done", "waits", "waits"]
    assert outcomes(told("dma-buf-dynamic", importer="keeps").log).endswith(
        "2 beats astray into memory of app and app2"
    )


def test_no_choice_of_the_knobs_crashes_or_hangs():
    """Whoever plays and whatever goes wrong: nobody crashes, nobody waits in a circle, and no good driver is accused."""
    for design in DESIGNS.values():
        for importer, exporter, trouble in itertools.product(design.play.importers, design.play.exporters, TROUBLES):
            run = told(design.name, steps="all", importer=importer, exporter=exporter, trouble=trouble)
            broken = {finding.rule for finding in board_of(run).findings}
            caught = {
                rule
                for knobs, rule in design.faulty.items()
                if {f"importer={importer}", f"exporter={exporter}"} & {*knobs.split()}
            }
            assert not (broken - caught) & {"no-crash", "no-deadlock", "lock-order"}
            assert not broken or exporter != "good" or importer not in design.good


@pytest.mark.parametrize("design", DESIGNS.values(), ids=lambda design: design.name)
def test_a_driver_of_ones_own_is_cast_into_every_design(design):
    """A class derived from the good importer or exporter plays its part, and the knob of that name has no say any more."""
    for role, kinds in (("importer", design.play.importers), ("exporter", design.play.exporters)):
        mine = type("Mine", (kinds["good"],), {"__doc__": "As the good one."})
        scene = cast(SCENES[design.scene], **{role: mine})
        run = Run(scene).told(3_000)
        things = run.world.things
        assert type((things.importers if role == "importer" else things.exporters)[0]) is mine
        assert not judge(run.log, watched_by(run.scenario)).findings


def test_an_exporter_of_a_dma_buf_is_told_of_each_unmap():
    """``unmap_dma_buf`` is a hook: what an exporter counts in it is what was mapped."""

    class Counts(DmaBufGpu):
        mapped = 0

        def map_dma_buf(self, attachment):
            self.mapped += 1
            return super().map_dma_buf(attachment)

        def unmap_dma_buf(self, attachment):
            self.mapped -= 1

    scene = cast(SCENES["design-dma-buf-dynamic"], exporter=Counts)
    run = Run(scene).told(3_000)
    assert "unmap_dma_buf" in calls(run)
    assert run.world.things.exporters[0].mapped == 0
