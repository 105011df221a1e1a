"""The scenes against plays of them on a real kernel, and what `conform scenes` says about what is none."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from p2plab.catalog import CASES
from p2plab.catalog.verdict import board, story_run
from p2plab.cli import main
from p2plab.conform.scenes import ASPECTS, conform
from p2plab.conform.scenes_read import Complaint
from p2plab.conform.scenes_says import unexplained
from p2plab.core.run import Run
from p2plab.drivers.gpu import Gpu
from p2plab.drivers.trusting import TrustingGpu
from p2plab.mm import KERNELS
from p2plab.rules.damage import damage
from tests.p2p.conftest import Kit

RECORDINGS = Path(__file__).parents[2] / "assets" / "recordings" / "scenes"
FILES = sorted(RECORDINGS.glob("*.json"))


@pytest.fixture
def changed(tmp_path):
    """A record with one thing changed: ``changed("F1.broken", edit)`` is its path."""

    def write(name, edit):
        record = json.loads((RECORDINGS / f"{name}.json").read_text(encoding="utf-8"))
        edit(record)
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(record), encoding="utf-8")
        return path

    return write


def different(path):
    return [difference.what for difference in conform([path]).first_differences]


def test_nothing_that_was_played_differs():
    """Orders, results, beats, bytes, deadlocks and complaints: each record agrees, or is said not to be modelled."""
    report = conform(FILES)
    assert not report.differ, "\n".join(report.lines())
    assert report.operations == len(ASPECTS) * len(FILES)
    assert (report.left_out, report.unheard) == ([], [])
    assert {(record, aspect) for record, aspect, _ in report.exceptions} == {
        ("scenes/C2.broken.json", "events"),
        ("scenes/E10.broken.json", "beats"),
        ("scenes/E10.broken.json", "bytes"),
    }


@pytest.mark.parametrize(
    ("name", "edit", "what"),
    [
        ("F1.broken", lambda r: r["beats"][1].update(hit="A[1]"), ["beats"]),
        ("F1.broken", lambda r: r["bar_file"].update({"3": "C[0] of app2...."}), ["bytes"]),
        ("F1.broken", lambda r: r.update(stuck=["nic"]), ["stuck"]),
        ("E7.broken", lambda r: r.update(stuck=[], kernel_says=[]), ["stuck"]),
        (
            "F1.good",
            lambda r: r["kernel_says"].append({"kind": "sleep", "phase": "play", "text": "…"}),
            ["kernel says"],
        ),
        ("F1.good", lambda r: r["kernel_says"].append({"kind": "rcu", "phase": "play", "text": "…"}), ["kernel says"]),
    ],
)
def test_a_record_that_says_something_else_differs(changed, name, edit, what):
    """One wrong value is found in the aspect that it belongs to, and nowhere else."""
    assert different(changed(name, edit)) == what


def test_another_return_code_is_found_and_shown_with_its_neighbour(changed, capsys):
    """Both sides are printed, and the exit status is 1."""

    def edit(record):
        for event in record["events"]:
            event["text"] = event["text"].replace("p2p_unmap = 0", "p2p_unmap = -22")

    path = changed("F1.good", edit)
    assert main(["conform", "scenes", str(path)]) == 1
    out = capsys.readouterr().out
    assert "p2p_unmap 0..2 = -EINVAL" in out
    assert "p2p_unmap 0..2 = 0" in out


def test_a_silent_kernel_is_no_difference(changed):
    """What the rules find and the kernel's checkers do not is why there are rules; a lockdep that should speak is named."""
    assert different(changed("F1.broken", lambda record: record.update(kernel_says=[]))) == []
    report = conform([changed("F3r.broken", lambda record: record.update(kernel_says=[]))])
    assert (report.differ, report.unheard) == (0, [(report.unheard[0][0], "&mm->mmap_lock")])


def test_another_chain_of_lockdep_is_a_difference(changed):
    """Class by class, from the lock that is wanted to the one that is held."""
    edit = lambda record: record["kernel_says"][0].update(chain=["gpu_bar", "&n->lock"])  # noqa: E731
    assert different(changed("X1o.broken", edit)) == ["lockdep"]


def test_an_unknown_option_of_the_recording_drivers_is_not_passed_over(changed):
    """It is counted as not modelled, with its name."""
    report = conform([changed("F1.good", lambda record: record["variant"].update(rknic="turbo=1"))])
    assert (report.agree, report.differ, dict(report.not_modelled)) == (
        0,
        0,
        {"the recording drivers' option 'turbo=1'": len(ASPECTS)},
    )


def test_a_complaint_needs_a_broken_rule_of_its_own_kind():
    """A sleep is not excused by a deadlock; the killer that the play called needs no excuse."""
    sleep, killer = Complaint("sleep", "play", "sleeping function called"), Complaint("oom", "play", "Out of memory")
    assert unexplained([sleep], ["never-sleeps"]) == []
    assert len(unexplained([sleep], ["no-deadlock"])) == 1
    assert unexplained([killer], []) == []


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda r: r.pop("beats"), "beats: list was expected"),
        (lambda r: r.update(kind="ugly"), "kind: broken or good"),
        (lambda r: r.update(model_scene="F99"), "no scene 'F99'"),
        (lambda r: r["events"].append({"who": "nic"}), "text: str was expected"),
        (lambda r: r.update(kernel="Windows"), "kernel: 'Linux HOST VERSION"),
        (lambda r: r["bar_file"].update({"1": 5}), "bar_file: a text for each slot"),
    ],
)
def test_what_is_no_record_is_refused(changed, capsys, edit, said):
    """The file and the field are named, and the exit status is 2."""
    assert main(["conform", "scenes", str(changed("F1.good", edit))]) == 2
    assert said in capsys.readouterr().err


def test_a_text_file_is_refused(tmp_path, capsys):
    """Not JSON, said in one line."""
    path = tmp_path / "notes.json"
    path.write_text("nic: hello", encoding="utf-8")
    assert main(["conform", "scenes", str(path)]) == 2
    assert "not JSON" in capsys.readouterr().err


def test_a_kernel_cannot_be_chosen(capsys):
    """A record names the kernel that it was played on."""
    assert main(["conform", "scenes", "--kernel", "7.3", str(FILES[0])]) == 2
    assert "held against the kernel it names" in capsys.readouterr().err


@pytest.mark.parametrize("kernel", ["rfc2019", "6.12"])
def test_a_stale_vma_pointer_is_a_use_after_free_where_the_kernel_frees_that_part(kernel):
    """On 6.12 a split leaves F13's old pointer at the part that was cut out: KASAN saw its next look at it."""
    scene = CASES["F13"].scenario
    placed = replace(scene, build=replace(scene.build, at={"kernel": KERNELS[kernel]}))
    told = {kind: Run(placed, {"driver": kind}).told() for kind in ("broken", "good")}
    assert (board(told["broken"]).first("vma-alive") is not None) == (kernel == "6.12")
    assert board(told["good"]).first("vma-alive") is None


def test_an_interval_too_small_ends_in_a_use_after_free_at_the_exit():
    """F20's importer gives its last page back through a vma that was freed long ago; its twin does not."""
    told = {kind: board(story_run(CASES["F20"], kind)).first("vma-alive") for kind in ("broken", "good")}
    assert told["broken"] is not None
    assert told["good"] is None


@pytest.mark.parametrize(("exporter", "loses"), [(Gpu, 0), (TrustingGpu, 1)])
def test_an_exporter_that_trusts_its_importers_gives_another_pages_iova_back(exporter, loses):
    """With an IOMMU the second unmap of an IOVA that was given out again takes the new page's translation out."""

    async def story(kit):
        await kit.mmap()
        old = await kit.map(0, 1)
        await kit.unmap(old)
        new = await kit.map(1, 2)
        assert new[0].address == old[0].address
        await kit.unmap(old)
        assert (kit.fabric.access(new[0].address, None, kit.nic).frame == "") == bool(loses)

    Kit(exporter, iommu=True).run(story)


def test_borrowed_addresses_do_no_damage_without_an_iommu_and_fault_with_one():
    """F18: right bytes at the right place are no damage; with an IOMMU neither of the second device's beats arrives."""
    scene = CASES["F18"].scenario
    for iommu, lost in (("off", []), ("on", [("A[0]", ""), ("A[1]", "")])):
        run = Run(scene, {"driver": "broken", "iommu": iommu}).told()
        assert [(hit.meant, hit.frame) for hit in damage(run.log)] == lost
        assert sum(entry.event.kind == "IommuFault" for entry in run.log) == len(lost)


def test_a_late_beat_lands_in_the_neighbour_with_an_iommu_on_and_nothing_says_so():
    """F2: the IOVA of A[0] is A[1]'s by then; no fault, no message, and yet damage."""
    scene = CASES["F2"].scenario
    run = Run(scene, {"driver": "broken", "iommu": "on"}).told()
    assert [(hit.meant, hit.frame) for hit in damage(run.log)] == [("A[0]", "A[1]")]
    assert not any(entry.event.kind == "IommuFault" for entry in run.log)
