"""The stage's model: every scene at every step of its story, and the moments that the course is about."""

import json
from pathlib import Path

import pytest

import p2plab
from p2plab.core.run import Run
from p2plab.drivers.peer_gpu import LinkedGpu, PeerGpu
from p2plab.everything import SCENES
from p2plab.rules.damage import damage
from p2plab.views.stage import history, moment, moments
from p2plab.views.stage.chain import base_of, bases_of
from p2plab.views.stage.fold import Block, folded
from p2plab.views.stage.model import CRASHED, NEXT, NONE, RIGHT, STALE, TAKEN_BACK, WAITS
from p2plab.views.stage.text import entry_words, stage_text
from p2plab.views.stage.wire import moment_json, objects_of, run_json, scene_json
from tests.views.boards import boards

GOLDEN = Path(__file__).parent / "golden"


def cells_in(made: dict):
    for group in made["groups"]:
        yield from group["cells"]
        yield from (cell for cell in group.get("mmu", ()) if cell is not None)
    yield from (*made["slots"], *made["frames"], *(made["ram"] or ()))


@pytest.mark.parametrize("name", SCENES)
def test_every_step_of_every_scene_says_what_the_world_says(name):
    """Against the world itself, the rules' own board and the damage, at each step; and all of it fits a page.

    A run that grows step by step, of which moments are kept, has shown the same at each step, in the same colours.
    """
    run = p2plab.run(SCENES[name])
    grown = [(moment(part, len(part)), objects_of(part)) for part in growing(run)]
    history._recent.clear()
    objects = objects_of(run)
    assert json.dumps([scene_json(run), run_json(run)])
    before = halfway = None
    world = run.scenario.world(**run.settings)
    for now, board in zip(moments(run), boards(run), strict=True):
        if now.step:
            world.take(run.schedule[now.step - 1])
        truthful(now, world, board)
        assert grown[now.step] == (now, objects[: len(grown[now.step][1])])
        if before is not None:
            marked(before, now)
        made = json.loads(json.dumps(moment_json(now, objects)))
        drawable(made)
        assert {f"beat:{beat.importer}" for beat in now.beats} <= {way["k"] for way in made["ways"]}
        before = now
        halfway = now if now.step == len(run) // 2 else halfway
    assert moment(run, len(run) // 2) == halfway


def growing(run):
    """The run at its first step, at its second, … as it is when somebody steps through it."""
    part = Run(run.scenario, run.settings)
    yield part
    for choice in run.schedule:
        part = part.then(choice)
        yield part


def truthful(now, world, board):
    gpu = world.things.exporters[0]
    assert [slot.frame for slot in now.slots] == gpu.aperture.shows
    bases = bases_of(world, world.log)
    for importer in world.things.importers:
        table = now.table(importer.name)
        inside = {(page - base_of(importer, bases)) // 4096: a for page, a in importer.engine.table.items()}
        assert {e.page: e.address for e in table.entries if e.state != NONE} == inside
        for entry in table.entries:
            reached = "" if entry.state == NONE else importer.engine.fabric.look(entry.address, importer.peer)
            assert entry.reaches == reached
            assert (entry.state in (RIGHT, TAKEN_BACK)) == bool(reached and reached == entry.meant)
            assert (entry.since is not None) == (entry.state == STALE)
            assert entry.since is None or entry.since <= now.step
    hurt = {hit.frame for hit in damage(world.log) if hit.write and hit.frame}
    assert {f.name for f in (*now.frames, *(now.ram or ())) if f.lost} <= hurt
    assert {row.name for row in now.now if row.state == NEXT} == set(world.enabled())
    assert {row.name for row in now.now if row.state == WAITS} == set(world.blocked)
    assert {row.name for row in now.now if row.state == CRASHED} == {n for n, a in world.actors.items() if a.crash}
    firsts = {rule.name: f.step for rule in board.rules if (f := board.first(rule.name))}
    assert {chip.rule: chip.step for chip in now.chips if chip.step is not None} == firsts
    if any(chip.state == "broken" and chip.step == now.step for chip in now.chips):
        assert now.said.tone == "bad"
        assert now.said.means
    assert {chip.rule for chip in now.chips if chip.state == "kept"} == {
        rule.name for rule in board.rules if rule.exercised and rule.name not in firsts
    }
    assert {b.name: b.why_not for b in now.buttons} == {n: a.why_not() for n, a in world.actions.items()}
    assert now.natural in ("step", "check", "") or not world.actions[now.natural].why_not()
    assert 5 < len(str(now.said)) < 220
    assert str(now.said)[-1] in ".…"


def marked(before, now):
    """What differs from the step before is marked, and nothing else."""
    was = {slot.number: (slot.frame, slot.lent, slot.marks) for slot in before.slots}
    for slot in now.slots:
        assert (f"slot{slot.number}" in now.changed) == (was[slot.number] != (slot.frame, slot.lent, slot.marks))
    assert now.destroyed <= now.changed or all(
        f.at == now.step for f in now.frames if f"frame{f.number}" in now.destroyed
    )


def drawable(made):
    """Every cell has a name of its own and words; every way and bar joins two cells that are there."""
    cells = [*cells_in(made), *(inner for cell in cells_in(made) for inner in cell.get("in", ()))]
    keys = [cell["k"] for cell in cells]
    assert len(keys) == len(set(keys))
    assert all(cell["t"] and cell["l"][0][0] for cell in cells)
    for way in made["ways"]:
        assert way["a"] in keys
        assert way["b"] in keys or (way["b"] == "" and way["head"] == "x")
    for bar in made["bars"]:
        assert bar["a"] in keys
        assert bar["b"] in keys


def test_the_obedient_defragmentation_names_who_waits_for_whom():
    """At step 27 the GPU is inside the NIC's callback, and waits for the NIC's engine."""
    now = {row.name: row for row in moment(p2plab.run("defrag-obedient"), 27 - 1).now}
    assert now["gpu"].waits_for == ("nic_dma",)
    assert now["gpu"].words == "for nic_dma: DMA drained"
    assert now["gpu"].inside == "in nic's invalidate_range_start"
    assert now["gpu"].locks == ("gpu:A.i_mmap_rwsem", "nic.lock")
    assert now["nic_dma"].words == "beat for page 1 lands"


def test_a_wait_that_names_nobody_is_traced_to_whoever_moves_the_object():
    """In F4 the NIC waits until A has settled: the GPU moves it, and waits for the NIC's lock."""
    run = p2plab.run("f4")
    now = {row.name: row for row in moment(run, len(run)).now}
    assert now["nic"].waits_for == ("gpu",)
    assert now["gpu"].words == "for nic, which holds nic.lock"


def test_an_address_is_stale_since_the_move_and_the_beat_destroys_a_page_of_another_process():
    """Whose bytes, through which slot, and since when."""
    run = p2plab.run("defrag-ignorant")
    now = moment(run, len(run))
    entry = now.table("nic").entries[2]
    assert entry_words(entry) == "0xe8005000, to slot 5, STALE since step 27: C[0] is there, not A[2]"
    frame = next(f for f in now.frames if f.name == "C[0]")
    assert (frame.lost, frame.owner, frame.by, frame.at) == ("C[0] of app2", "app2", "nic", 34)
    assert moment(run, 34).destroyed == {f"frame{frame.number}"}
    assert moment(run, 26).table("nic").states() == (TAKEN_BACK,) * 4
    assert moment(run, 20).table("nic").states() == (RIGHT,) * 4


def test_a_second_process_has_pages_of_its_own():
    """In E2 the second NIC's table counts from where the second process mapped."""
    now = moment(p2plab.run("e2"), 40)
    assert [space.name for space in now.spaces] == ["app", "app2"]
    assert [page.shows for page in now.space("app2").pages] == ["A[0]", "A[1]"]
    assert now.table("nic2").space == "app2"


def test_the_ways_to_a_slot_end_beside_each_other():
    """The process's own and those of two importers: each table has a place of its own, the first one too."""
    run = p2plab.run("policies")
    ways = moment_json(moment(run, 46), objects_of(run))["ways"]
    assert {way["a"].split(":")[0]: way["at"] for way in ways if way["b"] == "slot1"} == {"app": 0, "nic": 1, "nic2": 2}


def test_an_address_over_a_private_link_leads_past_the_bar():
    """A linked GPU's addresses are frames; no slot is lent."""
    from dataclasses import replace

    from p2plab.catalog.bench import Bench, Plan
    from p2plab.core.scenario import Scenario

    class Linked(LinkedGpu):
        link = "nic"

    def build(world, settings):
        Bench(world, replace(Plan(), exporter=Linked, importer=PeerGpu), settings)

    run = p2plab.run(Scenario("linked", "over a link", build, story="app nic nic_dma*3 ..."))
    now = next(m for m in moments(run) if RIGHT in m.table("nic").states())
    assert {entry.place.link for entry in now.table("nic").entries} == {1, 2}
    ways = {way["k"]: way for way in moment_json(now, objects_of(run))["ways"]}
    assert ways["nic:entry0"]["b"] == "frame1"
    assert ways["nic:entry0"]["c"] == "right link"


def test_the_driver_s_line_and_what_changed_in_it_are_known():
    """The NIC's callback waits for the engine in let_go's caller; the count of invalidations went up."""
    run = p2plab.run("defrag-obedient")
    steps = {now.step: now for now in moments(run)}
    nic = next(driver for driver in steps[26].drivers if driver.name == "nic")
    sections = scene_json(run)["drivers"]["nic"]
    assert sections[0][:2] == ["ObedientNic", "p2plab/drivers/nic.py"]
    (section, line) = nic.waits[0]
    assert "let_go" in sections[section][3][line - sections[section][2]]
    begun = next(driver for driver in steps[25].drivers if driver.name == "nic")
    assert ("invalidations", "1", "0") in [(a.name, a.value, a.was) for a in begun.attributes]
    (section, line) = begun.lit[0]
    assert "async with self.lock" in sections[section][3][line - sections[section][2]]


@pytest.mark.parametrize(("scene", "step"), [("defrag-obedient", 26), ("defrag-ignorant", 36)])
def test_the_text_twin_says_the_same(scene, step):
    """A golden file each: what a screen reader and a terminal get."""
    golden = GOLDEN / f"stage-{scene}-{step}.txt"
    assert stage_text(moment(p2plab.run(scene), step)) == golden.read_text(encoding="utf-8")


def test_a_run_that_goes_on_is_the_same_as_one_that_is_read_at_once():
    """Step by step, back, and another way: the pass along the run is kept, and never mixed up with another's."""
    whole = p2plab.run("defrag-ignorant")
    run = Run(whole.scenario, whole.settings)
    for choice in whole.schedule[:30]:
        run = run.then(choice)
        assert moment(run, len(run)).step == len(run)
    other = run.fork(20).then("nic_dma")
    assert moment(other, 21) != moment(run, 21)
    assert moment(run, 30) == moment(Run(whole.scenario, whole.settings, whole.schedule[:30]), 30)


def test_long_rows_fold_around_what_matters():
    """10,000 slots in one row: few items, what must be seen is seen, and a block opens into its parts."""
    kinds = ["B"] * 4000 + [""] * 2000 + ["C"] * 4000
    items = folded("slot", kinds, {10, 5000}.__contains__)
    assert items == [
        *range(0),
        Block("slot", 0, 9, "B"),
        10,
        Block("slot", 11, 3999, "B"),
        Block("slot", 4000, 4999, ""),
        5000,
        Block("slot", 5001, 5999, ""),
        Block("slot", 6000, 9999, "C"),
    ]
    opened = folded("slot", kinds, {10, 5000}.__contains__, {"slot:6000-9999", "slot:6000-6499"})
    assert Block("slot", 6500, 6999, "C") in opened
    assert Block("slot", 6000, 6062, "C") in opened
    mixed = folded("slot", ["A", ""] * 5000, {77}.__contains__)
    assert 77 in mixed
    assert len(mixed) < 64
    assert sum(1 if isinstance(item, int) else len(item) for item in mixed) == 10_000


def test_sixteen_pages_and_sixty_four_slots_are_drawn_one_by_one():
    """Only the free slots at the end share a block, which brings its cells along."""
    run = p2plab.run("defrag-ignorant", pages=16, slots=64)
    last = moment_json(moment(run, len(run)), objects_of(run))
    assert [len(group["cells"]) for group in last["groups"]] == [16, 16]
    assert [cell["k"] for cell in last["slots"]] == [*(f"slot{n}" for n in range(20)), "slot:20-63"]
    assert len(last["slots"][-1]["in"]) == 44
