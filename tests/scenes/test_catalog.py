"""The catalogue: every scene is caught by the rule named for it, and no good twin is accused."""

import json

import pytest

from p2plab.catalog import CASES
from p2plab.catalog.case import GOOD, Case
from p2plab.catalog.rig import BASE
from p2plab.catalog.verdict import CaseVerdict, board, seed_run, story_run, verdict
from p2plab.cli import main
from p2plab.core.errors import BadInput
from p2plab.core.run import Run
from p2plab.core.token import open_token, token_of
from p2plab.everything import CASES as ALL
from p2plab.everything import SCENES, find
from p2plab.p2p.things import leaks, things_of
from p2plab.pci import RFC2019, reach_verdict
from p2plab.rules import PRICES, RULES
from p2plab.rules.damage import damage

EVERY = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
CODES = (
    [f"F{n}" for n in range(1, 24)]
    + [f"E{n}" for n in range(1, 19)]
    + [f"C{n}" for n in range(1, 8)]
    + ["X1", "X2", "X3", "L1", "L2", "L3", "H1", "H2", "H3", "H4"]
)


def test_all_58_are_there_in_order():
    """F1 to F23, E1 to E18, C1 to C7, X1 to X3, L1 to L3, H1 to H4, none of them left out, each with a name of its own."""
    assert list(CASES) == CODES
    assert not [case.code for case in CASES.values() if case.unmodelled]
    assert len({case.scenario.name for case in CASES.values()}) == 58


@EVERY
def test_a_scene_is_caught_and_its_twin_is_left_in_peace(case: Case):
    """By the rule named for it, in its own story; the twin in that story and in a few random orders."""
    result = verdict(case, seeds=4)
    assert (result.caught, result.accused, result.unmet) == (True, {}, ())


@EVERY
def test_a_scene_says_what_it_is_about(case: Case):
    """Three or four sentences, what the learner sees, and a rule that exists."""
    sentences = [part for part in case.scenario.about.replace("?", ".").split(". ") if part]
    assert 3 <= len(sentences) <= 4
    assert case.sees
    assert case.rule in RULES


@EVERY
def test_a_story_replays_from_its_token(case: Case):
    """The same log, entry by entry."""
    told = story_run(case)
    assert open_token(token_of(told), find).log == told.log


@EVERY
def test_whoever_is_accused_is_named(case: Case):
    """The finding of the named rule says who, at which step of the run, and what happened."""
    told = story_run(case)
    first = board(told).first(case.rule)
    assert first is not None
    assert 0 < first.step <= len(told)
    assert first.what


@pytest.mark.parametrize("code", ["F1", "F2", "F6", "E1", "E2"])
def test_what_a_stale_write_hits_is_told_byte_by_byte(code):
    """Without an IOMMU somebody's frame changes; with one nothing but the importer's own work is lost."""
    case = CASES[code]
    hits = [hit for hit in damage(story_run(case).log) if hit.frame]
    assert hits
    assert all(hit.before != hit.after for hit in hits)
    run = Run(case.scenario, {"iommu": "on"}).told()
    assert not [hit for hit in damage(run.log) if hit.frame and hit.owner != "app"]


def test_with_an_iommu_the_stale_access_faults_and_is_logged():
    """F1 with iommu=on: no damage, and a line for each access."""
    case = CASES["F1"]
    run = Run(case.scenario, {"iommu": "on"}).told()
    assert [str(e.event) for e in run.log if e.event.kind == "IommuFault"] == ["IOMMU fault: nic writes 0xffbfe000"]
    assert board(run).first("obedience") is not None


def test_a_price_is_no_broken_promise():
    """E5, E6, E13 and C6 cost something; no promise breaks in their stories."""
    for code in ("E5", "E6", "E13", "C6"):
        fired = {finding.rule for finding in board(story_run(CASES[code])).findings}
        assert fired == {CASES[code].rule}
        assert fired <= set(PRICES)


@pytest.mark.parametrize("code", ["F8", "F13", "F15", "E8"])
def test_pages_that_nobody_gives_back_are_a_leak(code):
    """Where the kernel's DMA API debugging found one; the good twins leave nothing."""
    assert [row[:2] for row in leaks(story_run(CASES[code]).world)] == [("gpu", "nic")]
    assert leaks(story_run(CASES[code], GOOD).world) == ()


def test_a_run_says_what_leaked(capsys):
    """And nothing while somebody can still act."""
    assert main(["run", "E8"]) == 1
    assert "leak: gpu has 1 page lent to nic" in capsys.readouterr().out
    assert leaks(story_run(CASES["E8"]).at(10)) == ()


def test_a_write_beyond_the_bar_is_the_neighbour_s():
    """E14: three pages are lost inside the BAR, the fourth lands in the next function's, and the damage says whose that is."""
    hits = damage(story_run(CASES["E14"]).log)
    assert [hit.decoder for hit in hits] == ["", "", "", "BAR 0 of 0000:03:00.1"]
    assert str(hits[3]).endswith("nic meant A[3] and wrote BAR 0 of 0000:03:00.1 at 0xe8004000")


def test_without_checkers_a_stale_vma_pointer_does_nothing_and_its_pages_stay_lent():
    """F14: with them it is an oops; the rule sees both."""
    case = CASES["F14"]
    for checkers, crashed in (("on", 1), ("off", 0)):
        run = Run(case.scenario, {"checkers": checkers}).told()
        assert sum(e.event.kind == "Crashed" for e in run.log) == crashed
        assert board(run).first("vma-alive") is not None
        assert leaks(run.world) == (("gpu", "nic", 1),)


@pytest.mark.parametrize("code", ["F10", "F22"])
def test_the_twin_is_right_in_the_race_that_breaks_the_broken_one(code):
    """Both are invalidated between the answer and the programming; the twin sees it, and goes round once."""
    for driver, rounds in (("broken", 0), (GOOD, 1)):
        run = story_run(CASES[code], driver)
        first = [e.event.kind for e in run.log if e.event.kind in ("P2PMapped", "NotifierStart", "TranslationSet")]
        assert first[:3] == ["P2PMapped", "NotifierStart", "TranslationSet" if not rounds else "P2PMapped"]
        assert sum(e.event.kind == "MapRetried" for e in run.log) == rounds


def test_a_contradiction_of_two_promises_is_said():
    """E11: the finding names predictability; in the twin predictability notes why the refusal is excused."""
    said = board(story_run(CASES["E11"])).first("asked-each-time")
    assert said is not None
    assert "Predictability, read literally, asks for just that: the two contradict" in said.what
    twin = story_run(CASES["E11"], GOOD)
    assert board(twin).findings == ()
    assert [note.split(";")[0] for note in board(twin).notes] == [
        "predictability: gpu answered -EACCES to nic, which had mapped the range before"
    ]


def test_odd_seeds_begin_where_the_importer_has_mapped():
    """A random order alone often begins with the disaster."""
    run = seed_run(CASES["E12"], 1)
    assert next(e.step for e in run.log if e.event.kind == "P2PMapped") < next(
        e.step for e in run.log if e.event.kind == "Disaster"
    )


def test_a_case_that_is_not_modelled_is_not_caught():
    """Whatever fired."""
    case = Case("X1", CASES["F1"].scenario, "", (), "no honest way")
    assert not CaseVerdict(case, ("obedience",), {}, (), 0, "").caught


def test_a_scene_is_found_by_name_and_by_code():
    """And an unknown one is refused with a hint."""
    assert find("f1") is find("f1-ignores-clear") is SCENES["f1-ignores-clear"]
    with pytest.raises(BadInput, match="did you mean e7-holds-its-lock"):
        find("e7-holds-its-look")


def test_the_command_prints_the_table_and_exits_0(capsys):
    """One row a scene; exit 0 because all is as it should be."""
    assert main(["catalog", "F1", "e5", "--seeds", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[0] == "f1-ignores-clear"
    assert lines[1].split()[1].startswith("#+")
    assert "2 of 2 caught by the rule named for them; 0 good twins accused" in lines
    assert max(map(len, lines)) <= 72


def test_the_command_s_json_has_what_others_rely_on(capsys):
    """name, caught, by, twin_accused and token of each scene."""
    assert main(["catalog", "C2", "--seeds", "0", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["scenes"]
    assert [(s["name"], s["caught"], s["by"], s["twin_accused"]) for s in found] == [
        ("c2-vma-above-a-hole", True, "inside-one-vma", False)
    ]
    assert board(open_token(found[0]["token"], find)).first("inside-one-vma")


@pytest.mark.parametrize(
    ("words", "said"),
    [(["Z9"], "there is no case 'Z9'"), (["--seeds", "-1"], "--seeds -1: allowed are 0 to 100000")],
)
def test_bad_arguments_exit_2(capsys, words, said):
    """One sentence on stderr."""
    assert main(["catalog", *words]) == 2
    assert said in capsys.readouterr().err


def test_scenes_are_listed_with_their_verdicts(capsys):
    """p2plab scenes --json: code, what the learner sees, the verdict of the story."""
    assert main(["scenes", "--json"]) == 0
    scenes = {scene["name"]: scene for scene in json.loads(capsys.readouterr().out)["scenes"]}
    assert scenes["workbench"]["verdict"] is None
    assert scenes["f1-ignores-clear"]["verdict"] == {"caught": True, "by": "obedience", "twin_accused": False}
    assert [scene["code"] for scene in scenes.values() if scene["code"]] == list(ALL)


@EVERY
def test_every_knob_of_a_scene_can_be_turned(case: Case):
    """The lowest, the highest and every choice: it is built, told as far as it goes, and accuses no good twin."""
    for knob in case.scenario.knobs[1:]:
        for value in knob.choices or (knob.low, knob.high):
            for driver in ("broken", GOOD):
                run = Run(case.scenario, {"driver": driver, knob.name: value})
                run = run.told(5000)
                if driver == GOOD:
                    assert board(run).findings == (), (knob.name, value)


def test_an_acs_bit_changes_the_route_and_not_the_distance():
    """C4: 2019 answers -2; today NOT_SUPPORTED with the same four steps inside, and through the host bridge on a Zen."""
    before, after = (things_of(story_run(CASES["C4"]).at(step)).exporters[0].fabric.machine for step in (0, 23))
    gpu, nic = "0000:03:00.0", "0000:04:00.0"
    assert (reach_verdict(before, gpu, nic, RFC2019).distance, reach_verdict(before, gpu, nic).distance) == (4, 4)
    assert (reach_verdict(after, gpu, nic, RFC2019).distance, reach_verdict(after, gpu, nic).distance) == (-2, -1)
    assert reach_verdict(after, gpu, nic).steps == 4
    zen = things_of(story_run(CASES["C4"], GOOD).world).exporters[0].fabric.machine
    assert (reach_verdict(zen, gpu, nic).map_type, reach_verdict(zen, gpu, nic).distance) == ("THRU_HOST_BRIDGE", 4)


def test_a_bar_that_cannot_grow_has_its_old_size_back():
    """C5: the kernel's -ENOSPC; only the driver that does not look lends addresses beyond its BAR."""
    for driver in ("broken", GOOD):
        world = story_run(CASES["C5"], driver).world
        refused = [thing.refused for thing in world.objects if hasattr(thing, "refused")]
        assert refused == ["ENOSPC"]
        bar = next(r for r in things_of(world).machine["0000:03:00.0"].bars if r.index == 2)
        assert bar.size == 128 << 20


def test_the_reaper_s_call_is_refused_by_nobody_s_fault():
    """C3: in the real kernel no listener is asked about a device vma without waiting."""
    asked = [
        (e.event.start, e.event.blockable)
        for e in story_run(CASES["C3"], GOOD).log
        if e.event.kind == "NotifierStart" and not e.event.blockable
    ]
    assert asked
    assert all(start < BASE for start, _ in asked)


def test_a_moving_mremap_raises_two_unmaps_over_the_old_range():
    """F9: the second callback of the good twin finds nothing left and gives nothing back (invariant 32)."""
    run = story_run(CASES["F9"], GOOD)
    events = [(e.event.event, e.event.start) for e in run.log if e.event.kind == "NotifierStart"]
    assert events == [("UNMAP", BASE), ("UNMAP", BASE)]
    assert sum(e.event.kind == "P2PUnmapped" for e in run.log) == 1
