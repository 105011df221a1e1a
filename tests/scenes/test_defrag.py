"""The defragmentation scenes: the story, every order that a seed can find, wrong drivers, and bad requests."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2plab import find
from p2plab.catalog import defrag
from p2plab.core.errors import BadInput, KernelError
from p2plab.core.run import Run
from p2plab.core.scenario import Scenario
from p2plab.core.schedule import by_clock, by_seed, straight
from p2plab.core.token import open_token, token_of
from p2plab.p2p.contract import p2p_map
from p2plab.p2p.things import things_of
from p2plab.rules.damage import damage
from p2plab.views.text import board_of


def broken(run: Run) -> dict[str, tuple[int, str]]:
    return {f.rule: (f.step, f.culprit) for f in reversed(board_of(run).findings)}


@pytest.mark.parametrize("scene", defrag.SCENES, ids=lambda scene: scene.name)
def test_each_scene_s_story_ends_as_it_says(scene: Scenario):
    """The rule it announces breaks first; where it announces none, none does."""
    findings = board_of(Run(scene).told()).findings
    assert (findings[0].rule if findings else "") == scene.breaks


def test_the_ignorant_nic_damages_somebody_else_and_the_obedient_one_nobody():
    """Whose bytes, by name, before and after."""
    hits = damage(Run(find("defrag-ignorant")).told().log)
    assert [(h.meant, h.frame, h.owner, h.before, h.after) for h in hits] == [
        ("A[1]", "A[3]", "app", b"A[3] of app.....", b"DMA page 1######"),
        ("A[2]", "C[0]", "app2", b"C[0] of app2....", b"DMA page 2######"),
        ("A[3]", "C[1]", "app2", b"C[1] of app2....", b"DMA page 3######"),
    ]
    assert damage(Run(find("defrag-obedient")).told().log) == ()


def test_a_reading_nic_leaks_instead():
    """The same story with reads: nothing is overwritten, and foreign bytes come back."""
    run = Run(find("defrag-ignorant"), {"dma": "read"}).told()
    hits = damage(run.log)
    assert [(h.frame, h.owner, h.before, h.after) for h in hits] == [
        ("A[3]", "app", b"A[3] of app.....", b"A[3] of app....."),
        ("C[0]", "app2", b"C[0] of app2....", b"C[0] of app2...."),
        ("C[1]", "app2", b"C[1] of app2....", b"C[1] of app2...."),
    ]


def test_after_the_move_the_obedient_nic_maps_again_and_ends_its_transfer():
    """Map, invalidate, move, map again: every page of A is written once, at the place that it has then."""
    run = Run(find("defrag-obedient")).told()
    events = [e.event for e in run.log]
    mapped = [e.addresses[0] for e in events if e.kind == "P2PMapped"]
    assert mapped == [0xE800_3000, 0xE800_1000]
    assert [e.frame for e in events if e.kind == "BeatLanded"] == ["A[0]", "A[1]", "A[2]", "A[3]"]
    assert run.world.stuck is None
    assert things_of(run.world).importers[0].lock.owner is None


knobs = st.fixed_dictionaries(
    {"pages": st.integers(1, 5), "slots": st.integers(9, 14), "dma": st.sampled_from(["write", "read"])}
)


@given(st.integers(0, 10**6), knobs)
@settings(max_examples=150, deadline=None)
def test_no_order_of_events_makes_a_good_pair_break_a_rule(seed, given_knobs):
    """Obedient NIC, serialising GPU: no finding, no damage, and everything comes to rest."""
    run = Run(find("defrag-obedient"), given_knobs).driven(by_seed(seed))
    assert board_of(run).findings == ()
    assert damage(run.log) == ()
    assert run.world.stuck is None
    assert run.world.enabled() == []
    gpu, nic = things_of(run.world).exporters[0], things_of(run.world).importers[0]
    gpu.aperture._check()
    gpu.memory._check()
    assert sorted(nic.held) == sorted(nic.engine.table)
    assert {("nic", page) for page in nic.held} == set(gpu.lent)


@given(
    st.integers(0, 10**6),
    st.lists(st.sampled_from(list(Run(find("workbench")).world.actions))),
)
@settings(max_examples=150, deadline=None)
def test_no_button_in_any_order_breaks_a_good_pair(seed, presses):
    """Whatever a person presses, whenever: refusals have reasons, and the run replays from its token."""
    run = Run(find("workbench")).driven(straight)
    for number, press in enumerate(presses):
        if not run.world.why_not(f"!{press}"):
            run = run.then(f"!{press}")
        run = run.driven(by_seed(seed + number), seed % 7)
    run = run.driven(by_seed(seed))
    assert board_of(run).findings == ()
    assert damage(run.log) == ()
    assert run.world.stuck is None
    assert open_token(token_of(run), find).log == run.log


@given(st.integers(0, 10**6), st.data())
@settings(max_examples=40, deadline=None)
def test_a_replay_of_a_scene_equals_the_run_at_any_step(seed, data):
    """State by state, through locks, callbacks and devices."""
    run = Run(find("defrag-ignorant")).driven(by_seed(seed))
    place = data.draw(st.integers(0, len(run)))
    fresh = Run(find("defrag-ignorant"), {}, run.schedule[:place])
    assert run.at(place).state() == fresh.world.state()
    assert tuple(run.at(place).log) == fresh.log


def test_a_nic_behind_another_switch_is_refused_and_the_user_is_told():
    """The exporter sees that no bridge joins the two; nothing was lent."""
    run = Run(find("defrag-obedient"), {"nic": "other-switch"}).told()
    said = [str(e.event) for e in run.log if e.event.kind in ("P2PMapFailed", "JobFailed")]
    assert said == [
        "nic: p2p_map failed, -EREMOTEIO",
        "map fails: -EREMOTEIO: gpu refused 0x7f5555400000..0x7f5555404000",
    ]
    assert dict(things_of(run.world).exporters[0].lent) == {}
    assert board_of(run).findings == ()


BASE = defrag.BASE


@pytest.mark.parametrize(
    ("start", "end", "errno"),
    [
        (BASE, BASE, "EINVAL"),
        (BASE + 4096, BASE, "EINVAL"),
        (BASE + 1, BASE + 4096, "EINVAL"),
        (BASE, BASE + 5 * 4096, "EFAULT"),
        (BASE - 4096, BASE + 4096, "EFAULT"),
        (0, 4096, "EFAULT"),
    ],
)
def test_a_bad_range_is_refused_and_changes_nothing(start, end, errno):
    """Empty, reversed, unaligned, or not inside one vma."""
    run = Run(find("workbench")).driven(straight)
    world, nic = run.world, things_of(run.world).importers[0]
    refusals = []

    async def ask() -> None:
        try:
            async with nic.mm.mmap_lock.read():
                await p2p_map(nic.mm, nic.peer, start, end, True)
        except KernelError as error:
            refusals.append(error.name)

    before = world.state()
    world.actor("asker", ask)
    with world._as_running("asker"):
        world.actors["asker"].advance()
    while world.actors["asker"].enabled:
        world.take("asker")
    assert refusals == [errno]
    after = world.state()
    after.pop(("asker", "op"))
    assert after == before


def test_a_vma_without_p2p_map_is_efault():
    """Ordinary memory offers nothing."""
    run = Run(find("workbench")).driven(straight)
    nic, mm = things_of(run.world).importers[0], things_of(run.world).spaces[0]
    refusals = []

    async def ask() -> None:
        await mm.mmap(BASE - 0x10000, 4096)
        try:
            async with mm.mmap_lock.read():
                await p2p_map(mm, nic.peer, BASE - 0x10000, BASE - 0xF000, True)
        except KernelError as error:
            refusals.append(str(error))

    run.world.actor("asker", ask)
    with run.world._as_running("asker"):
        run.world.actors["asker"].advance()
    while run.world.actors["asker"].enabled:
        run.world.take("asker")
    assert refusals == [f"-EFAULT: the vma at {BASE - 0x10000:#x} has no p2p_map"]


def test_impossible_knobs_are_refused_together():
    """The object would not fit into the aperture."""
    with pytest.raises(BadInput, match="slots=8 is not possible with pages=5: 4 more are needed"):
        Run(find("workbench"), {"pages": 5})


def test_the_clock_lets_the_move_fall_into_the_transfer():
    """With the default ticks the ignorant NIC is caught in the act."""
    found = broken(Run(find("defrag-ignorant")).driven(by_clock))
    assert {"obedience", "no-stale-dma"} <= set(found)
